"""Invariant 6: a committed reader of Kafka sees every event exactly once, in position order: a prefix of the log.

And invariant 2 there: the value is the bytes of the row. What is killed meanwhile: tests/faults/test_relay_kill.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.chained_log import Writer
from tests.support.relaying import assert_all, assert_prefix, events_of, head_of, published, records, relaying

from regista.bus.settings import KafkaSettings
from regista.domain.chain import Row
from regista.store.export import export_lines
from regista.store.sqlite import SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")


async def test_kafka_is_a_prefix_of_the_log_at_every_moment_while_it_grows(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    log = SQLiteLogStore(tmp_path)
    writer = Writer(log)

    async def write() -> None:
        for number in range(150):
            await asyncio.to_thread(writer.write, *[f"m{m}" for m in range(number % 3 + 1)])

    async with relaying(log, kafka_settings) as relay:
        await published(relay, 1)
        writing = asyncio.create_task(write())
        seen = 0
        while not writing.done():
            found = await assert_prefix(kafka_settings, log)
            assert len(found) >= seen, "what was seen is gone"
            seen = len(found)
        await writing
        await published(relay, log.max_position())
    await assert_all(kafka_settings, log)
    log.close()


async def test_key_value_and_headers_restore_the_row_byte_for_byte(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    log = SQLiteLogStore(tmp_path)
    Writer(log).write("a", "b")
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 3)
    rows = log.read(1, 10)
    restored = []
    for record in await records(kafka_settings):
        headers = dict(record.headers)
        position, sequence = int(headers["ce_position"]), int(headers["ce_sequence"])
        restored.append(Row(position, record.key.decode(), sequence, headers["ce_type"].decode(), record.value))
        assert headers["ce_id"].decode() == f"{log.log_id}:{position}"
    assert restored == rows
    *_, footer = export_lines(log)
    assert head_of(restored).digest.hex() in footer
    log.close()


async def test_no_record_is_a_tombstone(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    log = SQLiteLogStore(tmp_path)
    Writer(log).write("a")
    async with relaying(log, kafka_settings) as relay:
        await published(relay, 2)
    found = await records(kafka_settings, events_of(kafka_settings))
    assert all(record.value and record.key for record in found)
    log.close()
