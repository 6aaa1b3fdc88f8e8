"""The checker of the chaos sees each kind of violation, and finds none where there is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.chaos import checker
from tests.support.chaos.checker import Answers
from tests.support.chaos.copy import Copy, Files, Kept
from tests.support.chaos.reading import Seen
from tests.support.payloads import version_body
from tests.support.server import app_client

from regista.bus.commands.records import encode_result
from regista.wire.orders import CommandResult

EVENTS = (
    Kept(1, "log/L", 1, "regista.log.created.v1", b"one", "system", "c1", 1, 1),
    Kept(2, "model/a", 1, "regista.model.registered.v1", b"two", "ann", "c2", 1, 2),
    Kept(3, "model/a", 2, "regista.version.registered.v1", b"three", "ann", "c2", 2, 2),
    Kept(5, "model/b", 1, "regista.model.registered.v1", b"five", "bob", "c3", 1, 1),
)
COPY = Copy("L", EVENTS, {("system", "c1"): (1, 1), ("ann", "c2"): (2, 2), ("bob", "c3"): (5, 1)})


def record(kept: Kept, offset: int) -> Seen:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"L:{kept.position}",
        "ce_type": kept.type,
        "ce_subject": kept.stream,
        "content-type": "application/avro",
        "ce_position": str(kept.position),
        "ce_sequence": str(kept.sequence),
        "ce_logid": "L",
        "ce_actor": kept.actor,
        "ce_commandid": kept.command_id,
    }
    if kept.size > 1:
        headers |= {"ce_setindex": str(kept.index), "ce_setsize": str(kept.size)}
    packed = tuple((name, value.encode()) for name, value in headers.items())
    return Seen("events", 0, offset, kept.stream.encode(), kept.value, packed)


RECORDS = [record(kept, offset * 2) for offset, kept in enumerate(EVENTS)]


def changed(at: int, **new: Any) -> list[Seen]:
    return [replace(one, **new) if n == at else one for n, one in enumerate(RECORDS)]


def without_a_set(one: Seen) -> Seen:
    return replace(one, headers=tuple(h for h in one.headers if not h[0].startswith("ce_set")))


BROKEN = {
    "twice": [*RECORDS[:3], RECORDS[2], RECORDS[3]],
    "twice at the end": [*RECORDS, RECORDS[3]],
    "all of it again": RECORDS * 2,
    "a gap": [RECORDS[0], *RECORDS[2:]],
    "the end is missing": RECORDS[:3],
    "nothing": [],
    "order": [RECORDS[0], RECORDS[2], RECORDS[1], RECORDS[3]],
    "other bytes": changed(1, value=b"Two"),
    "another key": changed(1, key=b"model/A"),
    "no header": changed(3, headers=RECORDS[3].headers[:-1]),
    "a header twice": changed(3, headers=(*RECORDS[3].headers, RECORDS[3].headers[0])),
    "another position": changed(3, headers=record(replace(EVENTS[3], position=4), 0).headers),
    "no set": [*RECORDS[:2], without_a_set(RECORDS[2]), RECORDS[3]],
}


def test_a_topic_that_is_the_log_passes() -> None:
    assert checker.events(COPY, RECORDS) == []
    assert checker.events(COPY, RECORDS[:2], whole=False) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_topic_that_is_not_the_log_is_seen(name: str) -> None:
    assert checker.events(COPY, BROKEN[name])


def test_a_reader_that_was_shown_something_else_is_seen() -> None:
    assert checker.followed(RECORDS[:2], RECORDS) == []
    assert checker.followed([RECORDS[0], RECORDS[2]], RECORDS)
    assert checker.followed([*RECORDS, RECORDS[3]], RECORDS)


def note(position: int, count: int) -> dict[str, object]:
    return {"kind": "checkpoint", "outbox": "events", "position": position, "count": count}


def test_checkpoints_that_fall_or_do_not_reach_the_end_are_seen() -> None:
    assert checker.checkpoints(COPY, [note(2, 2), note(5, 4)]) == []
    assert checker.checkpoints(COPY, [note(5, 4), note(2, 2), note(5, 4)])
    assert checker.checkpoints(COPY, [note(2, 2)])
    assert checker.checkpoints(COPY, [note(5, 5)])


COMMANDS = [Seen("commands", 0, n, b"k", b"v", ()) for n in range(3)]
NOW = datetime(2026, 5, 4, tzinfo=UTC)
DONE = CommandResult("c3", "bob", "RegisterModel", 201, False, None, 5, "model/b", 1, EVENTS[3].hash, "{}", NOW)
REFUSED = CommandResult("c9", "bob", "RegisterModel", 409, False, "name_taken", None, None, None, None, "{}", NOW)


def told(result: CommandResult, offset: int) -> Seen:
    source = (("regista_source", f"commands/0/{offset}".encode()),)
    return Seen("results", 0, offset, result.command_id.encode(), encode_result(result), source)


LETTER = Seen("letters", 0, 0, b"k", b"v", (("regista_source", b"commands/0/2"),))
RESULTS = [told(DONE, 0), told(REFUSED, 1)]


def test_one_result_for_each_command_passes() -> None:
    assert checker.results(COPY, COMMANDS, RESULTS, [LETTER]) == []
    again = told(replace(DONE, replayed=True), 1)
    assert checker.results(COPY, COMMANDS, [RESULTS[0], again], [LETTER]) == []


@pytest.mark.parametrize(
    "results",
    [
        RESULTS[:1],
        [*RESULTS, RESULTS[1]],
        [*RESULTS, told(REFUSED, 2)],
        [*RESULTS, told(REFUSED, 7)],
        [told(DONE, 0), told(DONE, 1)],
        [told(replace(DONE, position=6), 0), RESULTS[1]],
        [told(replace(DONE, hash="0" * 64), 0), RESULTS[1]],
        [told(replace(DONE, command_id="c4"), 0), RESULTS[1]],
        [RESULTS[0], told(replace(REFUSED, command_id="c2", actor="ann"), 1)],
    ],
    ids=["none", "two", "beside a letter", "of nobody", "done twice", "position", "hash", "lost", "refused and done"],
)
def test_results_that_are_not_so_are_seen(results: list[Seen]) -> None:
    assert checker.results(COPY, COMMANDS, results, [LETTER])


ANSWER = {"position": 5, "stream": "model/b", "sequence": 1, "hash": EVENTS[3].hash}
WRONG: dict[str, Callable[[], Answers]] = {
    "lost": lambda: Answers({("bob", "c4"): ANSWER}),
    "elsewhere": lambda: Answers({("bob", "c3"): {**ANSWER, "position": 3}}),
    "other bytes": lambda: Answers({("bob", "c3"): {**ANSWER, "hash": EVENTS[2].hash}}),
    "refused": lambda: Answers(refused={("bob", "c3")}),
}


def test_answers_that_the_log_keeps_pass() -> None:
    assert checker.answers(COPY, Answers({("bob", "c3"): ANSWER}, {("bob", "c4")})) == []


@pytest.mark.parametrize("name", WRONG)
def test_answers_that_the_log_does_not_keep_are_seen(name: str) -> None:
    assert checker.answers(COPY, WRONG[name]())


@pytest.fixture
async def kept(tmp_path: Path) -> Files:
    """What a registry left behind that was written to."""
    async with app_client(tmp_path) as client:
        await client.post("/v1/models", json={"name": "fraud"})
        written = await client.post("/v1/models/fraud/versions", json=version_body())
        await client.get("/v1/models/fraud", params={"min_position": written.json()["position"]})
    return Files(tmp_path)


def administer(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        assert database.execute(statement).rowcount


async def test_views_and_a_log_that_are_sound_pass(kept: Files) -> None:
    assert kept.view_positions() == {kept.end()}
    assert await checker.views(kept) == []
    assert checker.chain(kept) == []


async def test_a_row_that_is_lost_from_a_view_is_seen(kept: Files, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "views.db")) as views:
        [(table,)] = views.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'models%'")
    administer(tmp_path / "views.db", f"DELETE FROM {table}")
    assert await checker.views(kept)


async def test_an_event_that_was_changed_is_seen(kept: Files, tmp_path: Path) -> None:
    administer(tmp_path / "log.db", "UPDATE events SET state = CAST(state || x'00' AS BLOB) WHERE position = 2")
    assert checker.chain(kept)
