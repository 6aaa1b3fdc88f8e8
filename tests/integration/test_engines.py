"""The engines for tests do what tests rely on: they survive a kill with their data, and a cut is a cut."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.fixtures.kafka import KafkaCluster, MakeBroker
from tests.fixtures.postgres import MakePostgres
from tests.support.tcp_proxy import TcpProxy


def write(bootstrap: str, topic: str, values: list[bytes], copies: int = 1) -> None:
    administrator = AdminClient({"bootstrap.servers": bootstrap})
    (created,) = administrator.create_topics([NewTopic(topic, 1, copies)]).values()
    created.result(10)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str, number: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(number, timeout=20)]
    finally:
        consumer.close()


def gone(end: socket.socket) -> bool:
    """Whether the other end has dropped this connection."""
    try:
        return end.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.engine("kafka")
def test_the_sessions_broker_keeps_what_is_written(kafka: KafkaCluster, kafka_prefix: str) -> None:
    write(kafka.bootstrap, f"{kafka_prefix}.numbers", [b"1", b"2", b"3"])
    assert read(kafka.bootstrap, f"{kafka_prefix}.numbers", 3) == [b"1", b"2", b"3"]


@pytest.mark.engine("kafka-3.9")
def test_the_old_line_is_there_too(kafka_old: KafkaCluster) -> None:
    write(kafka_old.bootstrap, "numbers", [b"1"])
    assert read(kafka_old.bootstrap, "numbers", 1) == [b"1"]


@pytest.mark.engine("kafka-native")
def test_a_killed_broker_comes_back_on_its_port_with_its_data(own_broker: MakeBroker) -> None:
    broker = own_broker()
    write(broker.bootstrap, "numbers", [b"1", b"2"])
    before = broker.bootstrap
    broker.kill()
    assert not broker.nodes[0].running
    broker.start()
    assert broker.bootstrap == before
    assert read(before, "numbers", 2) == [b"1", b"2"]


@pytest.mark.engine("postgres")
def test_every_test_has_an_empty_database(postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as connection:
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


@pytest.mark.engine("postgres-native")
def test_a_killed_postgres_comes_back_with_what_was_committed(own_postgres: MakePostgres) -> None:
    server = own_postgres(durable=True)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("INSERT INTO kept VALUES (7)")
    server.kill()
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_proxy_passes_on_what_it_gets_until_it_is_cut() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        proxy = stack.enter_context(TcpProxy(*server.getsockname()))
        near = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 5))
        far = stack.enter_context(server.accept()[0])
        near.sendall(b"there")
        assert far.recv(5) == b"there"
        far.sendall(b"back")
        assert near.recv(4) == b"back"
        proxy.cut()
        assert gone(near)
