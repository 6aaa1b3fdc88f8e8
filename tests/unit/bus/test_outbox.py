"""The log as an outbox: whole sets, bounded batches, and waking up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, tamper

from regista.bus.events.envelope import received
from regista.bus.relay.outbox import Entry, EventsOutbox
from regista.domain.chain import event_hash
from regista.domain.errors import Damaged
from regista.domain.events import ModelRegistered
from regista.store.append import Append
from regista.store.command_sets import command_sets
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path)
    yield store
    store.close()


def test_entries_are_the_rows_of_the_log(log: SQLiteLogStore) -> None:
    Writer(log).write("a", "b")
    entries = EventsOutbox(log, "events").read(1, 100)
    assert [received(entry).row for entry in entries] == log.read(1, 100)
    assert [entry.hash for entry in entries] == [event_hash(r.stream, r.sequence, r.value) for r in log.read(1, 100)]
    assert {entry.topic for entry in entries} == {"events"}


def test_reading_is_inclusive_and_beyond_the_end_there_is_nothing(log: SQLiteLogStore) -> None:
    outbox = EventsOutbox(log, "events")
    position = Writer(log).write("a")
    assert [entry.position for entry in outbox.read(position, 10)] == [position]
    assert outbox.read(position + 1, 10) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 250, 251, 252])
def test_a_batch_ends_with_a_whole_set(log: SQLiteLogStore, limit: int) -> None:
    writer = Writer(log)
    models = [f"m{number}" for number in range(9)]
    log.append([writer.append(*models) for _ in range(30)])
    outbox = EventsOutbox(log, "events")
    position = 2
    found: list[Entry] = []
    while entries := outbox.read(position, limit):
        assert received(entries[-1]).ends_set
        assert limit <= len(entries) < limit + 9 or position + len(entries) == 272
        found += entries
        position = entries[-1].position + 1
    assert [received(entry).row for entry in found] == log.read(2, 1000)
    assert {received(entry).set_size for entry in found} == {9}


def test_a_batch_of_large_events_is_cut_by_their_bytes(log: SQLiteLogStore) -> None:
    writer = Writer(log)
    appends = []
    for number in range(600):
        key = writer.append_key(f"large-{number}")
        event = ModelRegistered(f"m{number}", None, "x" * 2000, None, {}, "default")
        appends.append(Append((writer.event(f"m{number}", key, event),), key))
    log.append(appends)
    entries = EventsOutbox(log, "events", max_bytes=100_000).read(1, 2000)
    assert sum(len(entry.value) for entry in entries) < 1_000_000


def test_an_event_that_cannot_be_read_is_told_and_not_published(log: SQLiteLogStore, tmp_path: Path) -> None:
    position = Writer(log).write("a")
    tamper(tmp_path / "log.db", f"UPDATE events SET state = x'00' WHERE position = {position}")
    with pytest.raises(Damaged) as damaged:
        EventsOutbox(log, "events").read(1, 10)
    assert damaged.value.code == "undecodable_event"
    assert str(position) in damaged.value.detail


async def test_waiting_ends_when_something_is_appended(log: SQLiteLogStore) -> None:
    outbox = EventsOutbox(log, "events", poll=30)
    waiting = asyncio.create_task(outbox.wait(log.max_position(), 30))
    await asyncio.sleep(0)
    Writer(log).write("a")
    outbox.notify()
    async with asyncio.timeout(5):
        await waiting


async def test_what_another_process_appends_is_seen_without_being_told(log: SQLiteLogStore) -> None:
    outbox = EventsOutbox(log, "events")
    waiting = asyncio.create_task(outbox.wait(log.max_position(), 30))
    await asyncio.sleep(0)
    Writer(log).write("a")
    async with asyncio.timeout(5):
        await waiting


async def test_waiting_ends_with_its_time(log: SQLiteLogStore) -> None:
    began = time.monotonic()
    await EventsOutbox(log, "events").wait(log.max_position(), 0.05)
    assert 0.05 <= time.monotonic() - began < 5


def test_the_rule_of_sets_is_that_of_the_log(log: SQLiteLogStore) -> None:
    from regista.store.command_sets import command_sets

    writer = Writer(log)
    for models in (("a",), ("a", "b"), ("c",), ("b", "c", "a"), ("a",)):
        writer.write(*models)
    entries = [received(entry) for entry in EventsOutbox(log, "events").read(1, 100)]
    sizes = [entry.set_size for entry in entries if entry.set_index == 1]
    assert sizes == [len(one.rows) for one in command_sets(log.read(1, 100))]


def test_events_are_published_as_those_of_the_log_that_the_store_has_become(tmp_path: Path) -> None:
    store, other = SQLiteLogStore(tmp_path / "one"), SQLiteLogStore(tmp_path / "other")
    outbox = EventsOutbox(store, "t")
    store.adopt(command_sets(other.read(1, 10)), other.log_id)
    [entry] = outbox.read(1, 10)
    assert dict(entry.headers)["ce_logid"].decode() == outbox.log_id == other.log_id
    for each in (store, other):
        each.close()


def test_what_another_process_made_of_the_log_is_read_with_its_identity(log: SQLiteLogStore, tmp_path: Path) -> None:
    with closing(SQLiteLogStore(tmp_path / "source")) as source:
        Writer(source).write("a")
        rows, log_id = source.read(1, 10), source.log_id
    with closing(SQLiteLogReader(tmp_path / "log.db")) as of_the_relay:
        outbox = EventsOutbox(of_the_relay, "events")
        assert received(outbox.read(1, 10)[0]).log_id == log.log_id != log_id
        log.adopt(command_sets(rows), log_id)
        assert {received(entry).log_id for entry in outbox.read(1, 10)} == {log_id}
        assert (outbox.log_id, of_the_relay.log_id) == (log_id, log_id)
