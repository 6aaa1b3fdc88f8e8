"""What is told of commands, on its way from the store to Kafka: each with the position that it got, none too early."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.chained_log import Writer

from regista.bus.commands.records import decode_result, encode_result
from regista.bus.commands.results import ResultsOutbox
from regista.bus.topics.topology import Topics
from regista.store.append import Append, Outgoing
from regista.store.sqlite import SQLiteLogStore
from regista.wire.orders import CommandResult

TOPICS = Topics("t")
TIME = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path)
    yield store
    store.close()


def result(name: str, position: int | None = None, time_ms: int = 0) -> Outgoing:
    told = CommandResult(name, "ann", "X", 200, False, None, position, "model/a", 1, "ab", '{"position":0}', TIME)
    return Outgoing("result", name.encode(), encode_result(told), (("regista_source", b"c/0/1"),), time_ms)


def tell(log: SQLiteLogStore, *outcomes: Outgoing, writer: Writer | None = None) -> None:
    if writer is None:
        log.append([Append((), None, outcomes=outcomes)])
    else:
        append = writer.append("a", "b")
        log.append([Append(append.rows, append.command, outcomes=outcomes)])


def test_a_result_carries_the_position_of_the_last_event_of_its_command(log: SQLiteLogStore) -> None:
    tell(log, result("done", 0), writer=Writer(log))
    [entry] = ResultsOutbox(log, TOPICS).read(1, 10)
    told = decode_result(entry.value)
    assert (told.position, told.answer, entry.key, entry.topic) == (3, {"position": 3}, b"done", TOPICS.results)
    assert entry.headers == [("regista_source", b"c/0/1")]


def test_entries_prove_what_the_store_holds_and_are_read_inclusively(log: SQLiteLogStore) -> None:
    tell(log, result("a"), Outgoing("dead-letter", None, None, (("x", None),), 5), result("c"))
    outbox = ResultsOutbox(log, TOPICS)
    first, letter, last = outbox.read(0, 10)
    assert (letter.topic, letter.key, letter.value, letter.headers) == (TOPICS.dead_letters, b"", b"", [("x", b"")])
    assert outbox.read(letter.position, 10) == [letter, last]
    assert outbox.read(0, 1) == [first]
    assert outbox.newest() == last.position
    assert len({entry.hash for entry in (first, letter, last)}) == 3


def test_an_answer_on_kafka_is_known_to_come_behind_a_position_or_not(log: SQLiteLogStore) -> None:
    sources = [f"{TOPICS.commands}/0/{number}".encode() for number in range(120)]
    tell(log, *(Outgoing("dead-letter", b"k", b"", (("regista_source", source),), 0) for source in sources))
    outbox = ResultsOutbox(log, TOPICS)
    entries = outbox.read(0, 1000)
    assert all(outbox.owns(entry) for entry in entries)
    assert not outbox.owns(entries[0]._replace(headers=[("regista_source", b"t.inference-metrics.v1/0/1")]))
    told = entries[9].position
    assert [outbox.is_behind(entry, told) for entry in entries] == [False] * 10 + [True] * 110


def test_a_read_is_bounded_by_bytes(log: SQLiteLogStore) -> None:
    letters = [Outgoing("dead-letter", b"k", bytes(1000), (), 0)] * 300
    tell(log, *letters)
    outbox = ResultsOutbox(log, TOPICS, max_bytes=100_000)
    assert len(outbox.read(0, 1000)) == 100
    assert len(ResultsOutbox(log, TOPICS).read(0, 1000)) == 300


async def test_an_answer_that_is_to_survive_the_store_waits_until_its_events_are_on_kafka(log: SQLiteLogStore) -> None:
    on_kafka = 2
    outbox = ResultsOutbox(log, TOPICS, acknowledged=lambda: on_kafka)
    tell(log, result("refused"))
    tell(log, result("done", 0), writer=Writer(log))
    tell(log, result("again", 3), result("other"))
    assert [entry.key for entry in outbox.read(0, 10)] == [b"refused"]
    waiting = asyncio.create_task(outbox.wait(1, 10))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    on_kafka = 3
    await waiting
    assert [entry.key for entry in outbox.read(0, 10)] == [b"refused", b"done", b"again", b"other"]


def test_what_was_published_is_given_however_far_kafka_is_known_to_be(log: SQLiteLogStore) -> None:
    """A relay looks whether its checkpoint is still there before it knows anything else."""
    tell(log, result("done", 0), writer=Writer(log))
    [published] = ResultsOutbox(log, TOPICS).read(0, 1)
    outbox = ResultsOutbox(log, TOPICS, acknowledged=lambda: 0)
    assert outbox.read(0, 10) == []
    assert outbox.read(published.position, 10) == [published]


async def test_waiting_ends_with_a_new_outcome_or_its_time(log: SQLiteLogStore) -> None:
    outbox = ResultsOutbox(log, TOPICS, poll=30)
    await outbox.wait(0, 0.01)
    waiting = asyncio.create_task(outbox.wait(0, 30))
    await asyncio.sleep(0)
    tell(log, result("a"))
    outbox.notify()
    await asyncio.wait_for(waiting, 5)


def test_what_was_pruned_is_not_missed_by_a_relay_that_goes_on_behind_it(log: SQLiteLogStore) -> None:
    tell(log, *(result(str(n), time_ms=n) for n in range(5)))
    outbox = ResultsOutbox(log, TOPICS)
    published = outbox.read(0, 3)[-1]
    assert log.prune_outcomes(published.position, 100) == 2
    assert outbox.read(published.position, 10)[0] == published
