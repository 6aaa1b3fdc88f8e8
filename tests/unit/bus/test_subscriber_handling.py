"""Handlers: tried again, then parked or stopped at, never skipped; positions and parked events survive crashes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.event_source import LOG_ID, EventSource, event, hash_of

import regista
from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.bus.subscriber.parking import Parked, ParkingFile
from regista.bus.subscriber.positions import FilePositions, MemoryPositions
from regista.domain.errors import Damaged, Invalid, Refused

AT_ONCE = regista.Retries(attempts=3, first=0)


def at(position: int) -> Bookmark:
    return Bookmark(LOG_ID, position, hash_of(position))


def stopping_at(last: int, subscribed: regista.Subscriber, handler: Callable[[LoggedEvent], Awaitable[None]]) -> Any:
    async def handle(one: LoggedEvent) -> None:
        await handler(one)
        if one.position == last:
            subscribed.stop()

    return handle


async def test_a_handler_is_tried_again_until_it_takes_the_event() -> None:
    tried: list[int] = []

    async def handler(one: LoggedEvent) -> None:
        tried.append(one.position)
        if one.position == 2 and tried.count(2) < 3:
            raise OSError("the target is busy")

    positions = MemoryPositions()
    async with regista.Subscriber(source=EventSource.of(3), positions=positions, from_="start") as subscribed:
        async with asyncio.timeout(5):
            await subscribed.run(stopping_at(3, subscribed, handler), retries=AT_ONCE)
    assert tried == [1, 2, 2, 2, 3]
    assert positions.bookmark == at(3)


async def test_a_plain_function_handles_too() -> None:
    found: list[int] = []
    async with regista.Subscriber(source=EventSource.of(2), from_="start") as subscribed:

        def handler(one: LoggedEvent) -> None:
            found.append(one.position)
            if one.position == 2:
                subscribed.stop()

        async with asyncio.timeout(5):
            await subscribed.run(handler)
    assert found == [1, 2]


async def test_without_parking_the_error_is_raised_and_the_position_stays_before_the_event() -> None:
    async def handler(one: LoggedEvent) -> None:
        if one.position == 2:
            raise ValueError("no such target")

    positions = MemoryPositions()
    async with regista.Subscriber(source=EventSource.of(3), positions=positions, from_="start") as subscribed:
        with pytest.raises(ValueError, match="no such target") as stopped:
            await subscribed.run(handler, retries=AT_ONCE)
    assert positions.bookmark == at(1)
    assert "event 2" in stopped.value.__notes__[0]


async def test_a_parked_event_is_kept_before_the_position_moves(tmp_path: Path) -> None:
    file, positions = tmp_path / "parked.jsonl", MemoryPositions()
    kept = ParkingFile(file)
    seen: list[Bookmark | None] = []

    async def park(parked: Parked) -> None:
        seen.append(positions.bookmark)
        await kept(parked)

    async def handler(one: LoggedEvent) -> None:
        if one.position == 2:
            raise ValueError("no such target")

    async with regista.Subscriber(source=EventSource.of(3), positions=positions, from_="start") as subscribed:
        async with asyncio.timeout(5):
            await subscribed.run(stopping_at(3, subscribed, handler), retries=AT_ONCE, parking=park)
    assert seen == [at(1)]
    assert positions.bookmark == at(3)
    (parked,) = map(json.loads, file.read_text().splitlines())
    assert (parked["position"], parked["attempts"], parked["data"]["alias"]) == (2, 3, "champion")
    assert "ValueError: no such target" in parked["error"]


async def test_an_event_that_cannot_be_parked_stops_the_subscriber() -> None:
    async def park(_parked: Parked) -> None:
        raise OSError("the disk is full")

    async def handler(_one: LoggedEvent) -> None:
        raise ValueError("no such target")

    positions = MemoryPositions()
    async with regista.Subscriber(source=EventSource.of(1), positions=positions, from_="start") as subscribed:
        with pytest.raises(OSError, match="full"):
            await subscribed.run(handler, retries=AT_ONCE, parking=park)
    assert positions.bookmark == Bookmark(LOG_ID, 0, "")


async def test_being_cancelled_is_no_failure_of_the_handler() -> None:
    calls: list[int] = []

    async def handler(one: LoggedEvent) -> None:
        calls.append(one.position)
        await asyncio.Event().wait()

    async def park(_parked: Parked) -> None:
        raise AssertionError

    positions = MemoryPositions()
    async with regista.Subscriber(source=EventSource.of(1), positions=positions, from_="start") as subscribed:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await subscribed.run(handler, retries=AT_ONCE, parking=park)
    assert calls == [1]
    assert positions.bookmark == Bookmark(LOG_ID, 0, "")


def test_pauses_double_up_to_a_ceiling() -> None:
    retries = regista.Retries(first=0.5, highest=3, jitter=lambda ceiling: ceiling)
    assert [retries.pause(attempt) for attempt in (1, 2, 3, 4, 5000)] == [0.5, 1, 2, 3, 3]
    with pytest.raises(Invalid):
        regista.Retries(attempts=0)


async def test_a_parked_event_is_not_written_twice_in_a_row_and_a_torn_line_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "parked.jsonl"
    for _ in range(2):
        await ParkingFile(file)(Parked(event(1), ValueError("x"), 1))
    with file.open("a") as torn:
        torn.write('{"position": 2, "err')
    await ParkingFile(file)(Parked(event(2), ValueError("x"), 1))
    assert [json.loads(line)["position"] for line in file.read_text().splitlines()] == [1, 2]


async def test_data_of_unknown_types_are_parked_as_they_came(tmp_path: Path) -> None:
    file = tmp_path / "parked.jsonl"
    for data in ({"endpoint": "eu"}, b"\xc3\x01"):
        unknown = LoggedEvent(**{**as_arguments(event(1)), "log_id": str(data), "data": data})
        await ParkingFile(file)(Parked(unknown, ValueError("x"), 1))
    assert [json.loads(line)["data"] for line in file.read_text().splitlines()] == [
        {"endpoint": "eu"},
        {"avro": "c301"},
    ]


def as_arguments(one: LoggedEvent) -> dict[str, Any]:
    return {name: getattr(one, name) for name in LoggedEvent.__slots__}


async def test_a_file_keeps_the_position(tmp_path: Path) -> None:
    path = tmp_path / "position"
    positions = FilePositions(path)
    assert await positions.load() is None
    await positions.store(at(1))
    await positions.store(at(2))
    assert await FilePositions(path).load() == at(2)
    assert names_in(tmp_path) == ["position"]


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"position": 3}', '{"log_id": "a", "position": "x", "hash": ""}'])
async def test_a_file_that_holds_no_position_is_an_error_and_no_beginning(tmp_path: Path, text: str) -> None:
    path = tmp_path / "position"
    path.write_text(text)
    with pytest.raises(Damaged) as damaged:
        await FilePositions(path).load()
    assert damaged.value.code == "position_unreadable"


async def test_two_subscribers_do_not_share_a_file(tmp_path: Path) -> None:
    one, other = FilePositions(tmp_path / "position"), FilePositions(tmp_path / "position")
    await one.load()
    await other.load()
    await one.store(at(1))
    with pytest.raises(Refused) as refused:
        await other.store(at(1))
    assert refused.value.code == "position_in_use"
