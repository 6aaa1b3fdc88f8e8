"""The checker: what is wrong with topics, log, views and answers after whatever happened.

It compares what readers got from Kafka with the log's tables as the database has them; of Regista it uses only what walks the
chain, what folds the views and what decodes results.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.chaos.copy import Copy, Kept, Store
from tests.support.chaos.reading import Seen

from regista.bus.commands.records import decode_result
from regista.projections.database import ViewsDatabase
from regista.projections.rebuild import readable_digests
from regista.projections.runner import Projector
from regista.projections.views.catalogue import VIEWS
from regista.store.feed import StoreFeed
from regista.store.verify import verify
from regista.wire.orders import CommandResult

SHOWN = 5
"""Of each kind of violation, so many are told one by one."""


@dataclass
class Answers:
    """What clients were told over HTTP, by actor and command id: done, with the answer, or refused."""

    done: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)


def events(copy: Copy, seen: Sequence[Seen], *, whole: bool = True) -> list[str]:
    """The topic holds the log's beginning, or all of it: bytes, keys, headers, order, nothing twice, no gap."""
    wrong: list[str] = []
    for number, (kept, record) in enumerate(zip_longest(copy.events, seen)):
        if record is None:
            if whole:
                wrong.append(f"missing: {len(copy.events) - number} events from position {kept.position} on")
            break
        place = dict(record.headers).get("ce_position", b"?")
        if kept is None:
            wrong.append(f"surplus: {len(seen) - number} records from {record.place} on (position {place!r})")
            break
        if different := _differs(copy.log_id, kept, record):
            wrong.append(f"record {number} at {record.place} (position {place!r}) is not {kept.position}: {different}")
            if len(wrong) >= SHOWN:
                break
    return wrong


def _differs(log_id: str, kept: Kept, record: Seen) -> str:
    """In what a record differs from an event; empty when in nothing."""
    headers = dict(record.headers)
    expected = {
        "ce_specversion": "1.0",
        "ce_id": f"{log_id}:{kept.position}",
        "ce_type": kept.type,
        "ce_subject": kept.stream,
        "content-type": "application/avro",
        "ce_position": str(kept.position),
        "ce_sequence": str(kept.sequence),
        "ce_logid": log_id,
    }
    if kept.command_id:
        expected |= {"ce_actor": kept.actor, "ce_commandid": kept.command_id}
    if kept.size > 1:
        expected |= {"ce_setindex": str(kept.index), "ce_setsize": str(kept.size)}
    elif "ce_setindex" in headers or "ce_setsize" in headers:
        return "it claims to be one of a set"
    if record.key != kept.stream.encode() or record.value != kept.value:
        return "key or value"
    if len(headers) != len(record.headers):
        return "a header twice"
    return ", ".join(f"{k}={headers.get(k)!r}" for k, v in expected.items() if headers.get(k) != v.encode())


def followed(tail: Sequence[Seen], seen: Sequence[Seen]) -> list[str]:
    """Whoever read while it was written got what is read afterwards."""
    by_partition: defaultdict[int, list[Seen]] = defaultdict(list)
    for one in seen:
        by_partition[one.partition].append(one)
    followed: defaultdict[int, list[Seen]] = defaultdict(list)
    for one in tail:
        followed[one.partition].append(one)
    return [
        f"a reader that followed {seen[0].topic if seen else '?'}/{partition} got something else than is read now"
        for partition, got in followed.items()
        if got != by_partition[partition][: len(got)]
    ]


def checkpoints(copy: Copy, notes: Sequence[Any]) -> list[str]:
    """Those of the events rise, and the last one is the log's end, with the number of events up to it."""
    found = [(n["position"], n["count"]) for n in notes if n["kind"] == "checkpoint" and n["outbox"] == "events"]
    wrong = [] if found == sorted(set(found)) else ["checkpoints do not rise"]
    if found and found[-1] != (copy.end, len(copy.events)):
        wrong.append(f"the last checkpoint is {found[-1]}, the log has {len(copy.events)} events up to {copy.end}")
    return wrong


def results(copy: Copy, commands: Sequence[Seen], told: Sequence[Seen], letters: Sequence[Seen]) -> list[str]:
    """Every command has one result, or one dead letter where it is none, and results agree with the log."""
    answered = Counter(_source(one) for one in (*told, *letters))
    asked = Counter(one.place for one in commands)
    wrong = _some("commands without a result", asked - answered)
    wrong += _some("results that nobody asked for, or twice", answered - asked)
    decoded = [(one, decode_result(one.value)) for one in told]
    copies = Counter((result.actor, result.command_id) for _, result in decoded)
    firsts: Counter[tuple[str, str]] = Counter()
    by_position = {event.position: event for event in copy.events}
    for record, result in decoded:
        key = (result.actor, result.command_id)
        if record.key != result.command_id.encode():
            wrong.append(f"the result at {record.place} has the key {record.key!r}")
        if result.done:
            firsts[key] += not result.replayed
            wrong += _told(f"the result of {key}", copy, by_position, key, _facts(result))
        elif copies[key] == 1 and key in copy.commands:
            wrong.append(f"{key} was refused ({result.code}) and is in the log")
    return wrong + _some("commands carried out more than once", Counter({k: n for k, n in firsts.items() if n > 1}))


def answers(copy: Copy, given: Answers) -> list[str]:
    """Every write that was answered is in the log once, as it was answered; none that was refused is."""
    by_position = {event.position: event for event in copy.events}
    wrong = [f"{key} was refused and is in the log" for key in given.refused if key in copy.commands]
    for key, answer in given.done.items():
        wrong += _told(f"the answer to {key}", copy, by_position, key, answer)
    return wrong


def _told(
    what: str, copy: Copy, by_position: Mapping[int, Kept], key: tuple[str, str], answer: Mapping[str, Any]
) -> Iterator[str]:
    found = copy.commands.get(key)
    if found is None:
        yield f"{what} says that it is done, and the log does not have it: {answer.get('position')}"
        return
    last = by_position.get(found[0] + found[1] - 1)
    there = None if last is None else (last.position, last.stream, last.sequence, last.hash)
    said = tuple(answer.get(name) for name in ("position", "stream", "sequence", "hash"))
    if there != said:
        yield f"{what} was {said}, the log has {there}"


def _facts(result: CommandResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("position", "stream", "sequence", "hash")}


def _source(record: Seen) -> str:
    return (dict(record.headers).get("regista_source") or b"?").decode()


def _some(what: str, found: Counter[Any]) -> list[str]:
    return [f"{what}: {len(found)}, such as {dict(list(found.items())[:SHOWN])}"] if found else []


def chain(store: Store) -> list[str]:
    """The log's hashes hold, and its command index says what its events say."""
    with closing(store.log()) as log:
        report = verify(log)
    return [f"verify: {problem}" for problem in report.problems[:SHOWN]]


async def views(store: Store) -> list[str]:
    """The views are what a fold of the whole log, from nothing, gives."""
    fresh = await _folded(store)
    with closing(store.views()) as shown:
        present = await asyncio.to_thread(readable_digests, shown, {view.name: view for view in VIEWS})
    return [f"the view {name} differs from a fresh rebuild" for name in fresh if present.get(name) != fresh[name]]


async def _folded(store: Store) -> dict[str, str]:
    with TemporaryDirectory() as folder, closing(store.log()) as log:
        database = ViewsDatabase(Path(folder) / "views.db")
        projector = Projector(StoreFeed(log), database)
        running = asyncio.create_task(projector.run())
        try:
            assert await projector.wait_for(log.max_position(), 120), projector.status()
            return await projector.digests()
        finally:
            await projector.close()
            await running
            database.close()
