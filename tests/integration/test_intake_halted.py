"""A commands topic that was cut keeps commands by Kafka waiting, and takes nothing else out of service."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from tests.support.intake import until
from tests.support.server import hasty, running_server

from regista.bus.commands.mark import Mark
from regista.bus.commands.records import encode_order, key_of
from regista.bus.commands.same import CUT
from regista.bus.connection import client_options
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.store.append import Append, Intake
from regista.store.sqlite import SQLiteLogStore
from regista.wire.orders import Order

pytestmark = pytest.mark.engine("kafka")


async def send(settings: KafkaSettings, order: Order) -> str:
    """Send an order; the partition that it went to, as the store calls it."""
    topic = Topics(settings.kafka_prefix).commands
    async with AIOKafkaProducer(**client_options(settings, "test")) as producer:
        sent = await producer.send_and_wait(topic, encode_order(order), key=key_of(order))
    return f"{topic}/{sent.partition}"


async def test_a_registry_whose_commands_topic_was_cut_stays_ready_and_takes_writes(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    await ensure_topics(kafka_settings)
    source = await send(kafka_settings, Order("new", "ann", "RegisterModel", body='{"name": "fraud"}'))
    log = SQLiteLogStore(tmp_path)
    log.append(
        [Append((), None, {}, Intake(source, 0, 2, Mark(1, int(time.time() * 1000) + 60_000, bytes(32)).packed))]
    )
    log.close()
    with (
        running_server(
            tmp_path, hasty(), kafka=kafka_settings.kafka, kafka_prefix=kafka_settings.kafka_prefix
        ) as server,
        server.client() as client,
    ):

        def intake() -> dict[str, object]:
            shown: dict[str, object] = client.get("/v1/status").json()["components"]["intake"]
            return shown

        await until(lambda: intake()["state"] == "halted", "the intake halts")
        assert intake()["code"] == CUT
        before = time.monotonic()
        await until(lambda: time.monotonic() > before + 1.1, "what readiness found before is forgotten")
        assert client.get("/readyz").status_code == httpx.codes.OK
        assert client.post("/v1/models", json={"name": "churn"}).status_code == httpx.codes.CREATED
        assert 'regista_intake_state{state="halted"} 1.0' in client.get("/metrics").text
