"""The second opinion: clients and a codec that are not ours read what the relay wrote, protocol and encoding alike."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import avro.io
import avro.schema
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from tests.support.chained_log import Writer
from tests.support.relaying import events_of, published, relaying

from regista.bus.events.envelope import to_headers
from regista.bus.settings import KafkaSettings
from regista.domain.chain import Row
from regista.schemas.codec import HEADER, decode
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")
SCHEMAS = Path(__file__).parents[2] / "schemas" / "regista" / "schemas"
PATIENCE = 30.0


@pytest.fixture
async def rows(tmp_path: Path, kafka_settings: KafkaSettings) -> list[Row]:
    """The rows of a log, published."""
    log = SQLiteLogStore(tmp_path)
    writer = Writer(log)
    for models in (("fraud",), ("fraud", "größe"), ("fraud",)):
        writer.write(*models)
    async with relaying(log, kafka_settings) as relay:
        await published(relay, log.max_position())
    found = log.read(1, 100)
    log.close()
    return found


def sets(rows: list[Row]) -> list[tuple[int, int]]:
    return [(1, 1), (1, 1), (1, 2), (2, 2), (1, 1)][: len(rows)]


def messages(settings: KafkaSettings, count: int) -> Iterator[Message]:
    """Committed records of the events topic, through librdkafka."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": settings.kafka_prefix,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(events_of(settings).topic, 0, 0)])
    until = time.monotonic() + PATIENCE
    try:
        while count and time.monotonic() < until:
            if (message := consumer.poll(1.0)) is not None:
                assert message.error() is None
                count -= 1
                yield message
    finally:
        consumer.close()


def with_avro(value: bytes) -> dict[str, Any]:
    """A value through the Avro project's own reader, with the schema that its fingerprint names."""
    entry = json.loads((SCHEMAS / "lock.json").read_text())["schemas"][value[2:HEADER].hex()]
    schema = avro.schema.parse((SCHEMAS / "avro" / entry["file"]).read_text())
    read = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(io.BytesIO(value[HEADER:])))
    assert isinstance(read, dict)
    return read


async def test_librdkafka_and_apache_avro_read_the_same_as_we_do(
    kafka_settings: KafkaSettings, rows: list[Row]
) -> None:
    found = list(messages(kafka_settings, len(rows)))
    assert len(found) == len(rows) == 5
    for message, row, (index, size) in zip(found, rows, sets(rows), strict=True):
        headers = cast(list[tuple[str, bytes]], message.headers())
        texts = {name: value.decode() for name, value in headers}
        log_id = rows[0].stream.removeprefix("log/")
        assert headers == to_headers(row, log_id, index, size)
        assert (message.key(), message.value()) == (row.stream.encode(), row.value)
        record = with_avro(row.value)
        assert record == decode(row.value).record
        assert record["meta"]["actor"] == texts["ce_actor"]
        assert record["meta"]["time"] == datetime.fromisoformat(texts["ce_time"])


@pytest.mark.engine("kcat")
async def test_kcat_prints_a_record_for_each_event(kafka_settings: KafkaSettings, rows: list[Row]) -> None:
    topic = events_of(kafka_settings).topic
    # Keys, sizes and headers: the bytes of values are not text.
    command = ["kcat", "-C", "-b", kafka_settings.brokers, "-t", topic, "-e", "-q", "-f", "%k|%S|%h\n"]
    kcat = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(PATIENCE):
        printed, _ = await kcat.communicate()
    assert kcat.returncode == 0
    found = [line.split("|") for line in printed.decode().splitlines()]
    assert [(key, int(size)) for key, size, _ in found] == [(row.stream, len(row.value)) for row in rows]
    headers = [dict(header.split("=", 1) for header in text.split(",")) for _, _, text in found]
    assert [int(header["ce_position"]) for header in headers] == [row.position for row in rows]
    assert [header["ce_type"] for header in headers] == [row.type for row in rows]
