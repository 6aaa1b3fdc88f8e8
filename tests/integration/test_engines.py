"""The engines for tests do what tests rely on: they survive a kill with their data, and a cut is a cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.fixtures.kafka import KafkaCluster, MakeBroker
from tests.fixtures.postgres import MakePostgres
from tests.support.secure_broker import SecureBroker
from tests.support.tcp_proxy import TcpProxy


def administrator(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def create(client: AdminClient, topic: str, copies: int = 1) -> None:
    (created,) = client.create_topics([NewTopic(topic, 1, copies)]).values()
    created.result(10)


def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str, number: int) -> list[bytes | None]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False, "log_level": 0}
    )
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
    create(administrator(kafka.bootstrap), f"{kafka_prefix}.numbers")
    write(kafka.bootstrap, f"{kafka_prefix}.numbers", [b"1", b"2", b"3"])
    assert read(kafka.bootstrap, f"{kafka_prefix}.numbers", 3) == [b"1", b"2", b"3"]


@pytest.mark.engine("kafka-3.9")
def test_the_old_line_is_there_too(kafka_old: KafkaCluster) -> None:
    create(administrator(kafka_old.bootstrap), "numbers")
    write(kafka_old.bootstrap, "numbers", [b"1"])
    assert read(kafka_old.bootstrap, "numbers", 1) == [b"1"]


@pytest.mark.engine("kafka-native")
def test_a_killed_broker_comes_back_on_its_port_with_its_data(own_broker: MakeBroker) -> None:
    broker = own_broker()
    create(administrator(broker.bootstrap), "numbers")
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


@pytest.fixture
def proxied() -> Iterator[Proxied]:
    """Both ends of a connection through a proxy, and more of them."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(10)
        yield Proxied(stack, server, stack.enter_context(TcpProxy(*server.getsockname())))


@dataclass
class Proxied:
    stack: ExitStack
    server: socket.socket
    proxy: TcpProxy

    def connect(self) -> socket.socket:
        return self.stack.enter_context(socket.create_connection(("127.0.0.1", self.proxy.port), 10))

    def pair(self) -> tuple[socket.socket, socket.socket]:
        near = self.connect()
        far = self.stack.enter_context(self.server.accept()[0])
        far.settimeout(10)
        return near, far


def test_a_proxy_passes_on_what_it_gets_until_it_is_cut(proxied: Proxied) -> None:
    near, far = proxied.pair()
    near.sendall(b"there")
    assert far.recv(5) == b"there"
    far.sendall(b"back")
    assert near.recv(4) == b"back"
    proxied.proxy.cut()
    assert gone(near)
    assert gone(far)
    near, far = proxied.pair()
    near.sendall(b"again")
    assert far.recv(5) == b"again"


def test_a_proxy_that_refuses_keeps_what_is_open(proxied: Proxied) -> None:
    near, far = proxied.pair()
    proxied.proxy.refuse()
    assert gone(proxied.connect())
    near.sendall(b"still")
    assert far.recv(5) == b"still"
    proxied.proxy.accept()
    proxied.pair()


def test_a_frozen_proxy_holds_bytes_back_and_loses_none(proxied: Proxied) -> None:
    near, far = proxied.pair()
    proxied.proxy.freeze()
    near.sendall(b"held back")
    far.settimeout(0.2)
    with pytest.raises(TimeoutError):
        far.recv(9)
    proxied.proxy.thaw()
    far.settimeout(10)
    assert far.recv(9) == b"held back"


def test_a_proxy_before_nothing_drops_its_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with TcpProxy(*address) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 10) as near:
        assert gone(near)


@pytest.mark.engine("kafka-native")
def test_clients_of_a_proxied_broker_know_no_other_way(own_broker: MakeBroker) -> None:
    broker = own_broker(proxied=True)
    (proxy,) = broker.proxies
    assert broker.bootstrap == proxy.address
    create(administrator(broker.bootstrap), "numbers")
    write(broker.bootstrap, "numbers", [b"1"])
    proxy.refuse()
    proxy.cut()
    client = administrator(broker.bootstrap)
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
    proxy.accept()
    assert read(broker.bootstrap, "numbers", 1) == [b"1"]


@pytest.mark.engine("kafka-native")
def test_three_nodes_go_on_when_one_is_killed(own_broker: MakeBroker) -> None:
    broker = own_broker(3)
    create(administrator(broker.bootstrap), "numbers", copies=3)
    write(broker.bootstrap, "numbers", [b"1"])
    broker.nodes[0].kill()
    write(broker.bootstrap, "numbers", [b"2"])
    broker.nodes[0].start()
    write(broker.bootstrap, "numbers", [b"3"])
    assert read(broker.bootstrap, "numbers", 3) == [b"1", b"2", b"3"]


@pytest.mark.engine("kafka-native")
@pytest.mark.engine("openssl")
def test_a_secure_broker_lets_a_user_do_what_is_allowed_and_nothing_else(
    secure_broker: SecureBroker, kafka_prefix: str
) -> None:
    settings = secure_broker.add_user("writer", "secret word", prefix=kafka_prefix)
    assert settings.kafka_username is not None
    assert settings.kafka_password is not None
    writer = AdminClient(
        {
            "bootstrap.servers": secure_broker.bootstrap,
            "security.protocol": settings.kafka_security,
            "sasl.mechanism": settings.kafka_sasl,
            "sasl.username": settings.kafka_username,
            "sasl.password": settings.kafka_password.get_secret_value(),
            "ssl.ca.location": str(settings.kafka_ca),
        }
    )
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        create(writer, f"{kafka_prefix}.mine")
    secure_broker.allow("writer", "topic", f"{kafka_prefix}.", "create", prefixed=True)
    create(writer, f"{kafka_prefix}.mine")
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        create(writer, "other")


@pytest.mark.engine("kafka-native")
@pytest.mark.engine("openssl")
def test_a_secure_broker_knows_a_client_by_its_certificate(secure_broker: SecureBroker, kafka_prefix: str) -> None:
    settings = secure_broker.add_certificate("deployer", prefix=kafka_prefix)
    deployer = AdminClient(
        {
            "bootstrap.servers": secure_broker.mutual,
            "security.protocol": settings.kafka_security,
            "ssl.ca.location": str(settings.kafka_ca),
            "ssl.certificate.location": str(settings.kafka_certificate),
            "ssl.key.location": str(settings.kafka_key),
        }
    )
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        create(deployer, f"{kafka_prefix}.mine")
    secure_broker.allow("CN=deployer", "topic", f"{kafka_prefix}.mine", "create")
    create(deployer, f"{kafka_prefix}.mine")
