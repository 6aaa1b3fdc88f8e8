"""Subscribing: in order, none missed, none twice, from the stored position on, through broken connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from tests.support.event_source import LOG_ID, EventSource, event, hash_of

import regista
from regista.bus.subscriber import outage, subscriber
from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.bus.subscriber.positions import MemoryPositions
from regista.bus.subscriber.source import Start
from regista.bus.subscriber.subscriber import Subscriber
from regista.client import retry
from regista.client.errors import Unreachable
from regista.domain.errors import Malformed, Refused, Unavailable

T = TypeVar("T")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_CEILING", 0.0)


def at(position: int) -> Bookmark:
    return Bookmark(LOG_ID, position, hash_of(position))


async def take(events: AsyncIterator[T], count: int) -> list[T]:
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not so():  # noqa: ASYNC110 - a condition of the code under test, which sets no event
            await asyncio.sleep(0)


async def positions_of(subscribed: Subscriber, count: int) -> list[int]:
    """Take so many, and be done with each."""
    found = []
    for one in await take(aiter(subscribed), count):
        found.append(one.position)
        await one.done()
    return found


async def test_events_come_in_order_and_the_position_follows_what_is_done_with() -> None:
    source, positions = EventSource.of(3), MemoryPositions()
    async with Subscriber(source=source, positions=positions, from_="start") as subscribed:
        first, second = await take(aiter(subscribed), 2)
        assert (first.position, second.position) == (1, 2)
        assert positions.bookmark == Bookmark(LOG_ID, 0, "")

        await first.done()
        assert positions.bookmark == at(1)
        await second.done()
        await first.done()
        assert positions.bookmark == at(2)
        assert subscribed.position == 2
    assert source.closed


async def test_what_is_not_done_with_comes_again_after_a_restart() -> None:
    source, positions = EventSource.of(5), MemoryPositions()
    async with Subscriber(source=source, positions=positions, from_="start") as subscribed:
        assert await positions_of(subscribed, 2) == [1, 2]
        await take(aiter(subscribed), 2)
    async with Subscriber(source=source, positions=positions) as subscribed:
        assert await positions_of(subscribed, 3) == [3, 4, 5]
    assert source.reads[-1] == at(2)


async def test_a_subscriber_without_a_position_begins_at_the_end_and_remembers_it() -> None:
    source, positions = EventSource.of(3), MemoryPositions()
    async with Subscriber(source=source, positions=positions):
        pass
    source.add(event(4))
    async with Subscriber(source=source, positions=positions) as subscribed:
        assert await positions_of(subscribed, 1) == [4]


@pytest.mark.parametrize(("begin", "first"), [("start", 1), (0, 1), (2, 3)])
async def test_a_subscriber_begins_where_it_is_told_to(begin: Start, first: int) -> None:
    async with Subscriber(source=EventSource.of(4), from_=begin) as subscribed:
        assert (await positions_of(subscribed, 1)) == [first]


async def test_a_stored_position_wins_over_where_it_is_told_to_begin() -> None:
    positions = MemoryPositions(at(2))
    async with Subscriber(source=EventSource.of(3), from_="start", positions=positions) as subscribed:
        assert await positions_of(subscribed, 1) == [3]


async def test_a_broken_connection_is_opened_again_behind_the_last_event() -> None:
    source = EventSource.of(2)
    async with Subscriber(source=source, from_="start") as subscribed:
        assert await positions_of(subscribed, 2) == [1, 2]
        waiting = asyncio.create_task(positions_of(subscribed, 1))
        await asyncio.sleep(0)
        source.faults = [Unreachable("gone"), Unavailable("busy", retry_after=0.0), None]
        source.hang_up(Unreachable("the connection broke"))
        await until(lambda: len(source.reads) == 4)
        source.add(event(3))
        assert await waiting == [3]
        source.hang_up()
        source.add(event(4))
        assert await positions_of(subscribed, 1) == [4]
    assert [place.position for place in source.reads] == [0, 2, 2, 2]


async def test_an_event_that_comes_again_is_dropped() -> None:
    source = EventSource([event(1), event(2), event(1), event(2), event(3)])
    async with Subscriber(source=source, from_="start") as subscribed:
        assert await positions_of(subscribed, 3) == [1, 2, 3]


async def test_it_waits_for_a_registry_that_is_away_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    source = EventSource.of(1)
    source.faults = [Unreachable("refused"), Unreachable("refused"), None, Unreachable("refused"), None]
    with caplog.at_level(logging.INFO, "regista.subscriber"):
        async with Subscriber(source=source, from_="start") as subscribed:
            assert await positions_of(subscribed, 1) == [1]
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO", "WARNING", "INFO"]


async def test_it_gives_up_after_as_long_as_it_is_told_to() -> None:
    source = EventSource.of(1)
    heard: list[regista.RegistaError | None] = []
    async with Subscriber(source=source, from_="start", give_up_after=0.0, on_outage=heard.append) as subscribed:
        source.faults = [Unreachable("refused")]
        with pytest.raises(Unreachable):
            await positions_of(subscribed, 1)
    assert heard == []


async def test_what_waiting_does_not_help_is_raised() -> None:
    source = EventSource.of(1)
    async with Subscriber(source=source, positions=MemoryPositions(at(1))) as subscribed:
        source.faults = [Refused("another", code="log_diverged")]
        with pytest.raises(Refused, match="another"):
            await anext(subscribed)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"types": "alias.removed"}, [1, 3]),
        ({"types": ["alias.removed", "regista.version.promoted.v1"]}, [1, 2, 3]),
        ({"types": "regista.endpoint.moved.v1"}, [4]),
        ({"models": "Fraud"}, [1, 2]),
        ({"models": ["fraud", "churn"]}, [1, 2, 3]),
        ({"streams": "policy/risk"}, [4]),
        ({"actors": ["ann"], "models": "fraud"}, [2]),
    ],
)
async def test_filters_let_through_what_they_name(wanted: dict[str, str | list[str]], found: list[int]) -> None:
    source = EventSource(
        [
            event(1),
            event(2, actor="ann", type_="regista.version.promoted.v1"),
            event(3, stream="model/churn", sequence=1, previous=""),
            event(4, stream="policy/risk", sequence=1, previous="", type_="regista.endpoint.moved.v1"),
        ]
    )
    async with Subscriber(source=source, from_="start", **wanted) as subscribed:  # type: ignore[arg-type]
        assert await positions_of(subscribed, len(found)) == found


async def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        Subscriber(source=EventSource(), types="version.promted")
    assert refused.value.code == "unknown_type"
    assert "version.promoted" in (refused.value.hint or "")


async def test_the_position_goes_past_what_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "_PASSED_EVERY", 0.0)
    source, positions = EventSource.of(3), MemoryPositions()
    async with Subscriber(source=source, positions=positions, from_="start", actors="ann") as subscribed:
        waiting = asyncio.create_task(positions_of(subscribed, 1))
        await until(lambda: positions.bookmark == at(3))
        source.add(event(4, actor="ann"), event(5), at(6))
        assert await waiting == [4]
        assert positions.bookmark == at(6)


async def test_the_position_does_not_go_past_what_is_not_done_with() -> None:
    source, positions = (
        EventSource([event(1, actor="ann"), event(2), event(3, actor="ann"), event(4)]),
        MemoryPositions(),
    )
    async with Subscriber(source=source, positions=positions, from_="start", actors="ann") as subscribed:
        first, second = await take(aiter(subscribed), 2)
        await first.done()
    assert positions.bookmark == at(1)
    del second


async def test_what_was_passed_is_stored_at_the_end() -> None:
    source, positions = EventSource.of(3), MemoryPositions()
    async with Subscriber(source=source, positions=positions, from_="start", actors="ann") as subscribed:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(subscribed)
    assert positions.bookmark == at(3)


async def test_an_atomic_set_comes_whole() -> None:
    together = [event(number, command="c") for number in (2, 3, 4)]
    source = EventSource([event(1), *together, event(5), event(6, command="d"), event(7, command="d"), at(7)])
    source.piece = 3
    positions = MemoryPositions()
    async with Subscriber(source=source, positions=positions, from_="start") as subscribed:
        sets = await take(subscribed.sets(), 4)
        assert [[one.position for one in together] for together in sets] == [[1], [2, 3, 4], [5], [6, 7]]
        await sets[1][-1].done()
    assert positions.bookmark == at(4)


async def test_a_set_that_was_not_told_whole_is_not_handed_out() -> None:
    source = EventSource([event(1, command="c"), event(2, command="c")])
    async with Subscriber(source=source, from_="start") as subscribed:
        sets = subscribed.sets()
        waiting = asyncio.ensure_future(anext(sets))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        source.add(event(3, command="c"), at(3))
        async with asyncio.timeout(5):
            assert [one.position for one in await waiting] == [1, 2, 3]
        waiting = asyncio.ensure_future(anext(sets))
        source.add(event(4, command="d"))
        await asyncio.sleep(0.02)
        subscribed.stop()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_each_outage_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    source, heard = EventSource.of(1), list[str | None]()

    def hear(error: regista.RegistaError | None) -> None:
        heard.append(error.code if error else None)

    now = 0.0
    monkeypatch.setattr(outage, "monotonic", lambda: now)
    async with Subscriber(source=source, from_="start", give_up_after=10, on_outage=hear) as subscribed:
        waiting = asyncio.ensure_future(positions_of(subscribed, 2))
        for number in range(1, 4):
            await until(lambda: len(source.reads) == number)  # noqa: B023 - awaited here
            now += 8
            source.hang_up(Unreachable("the connection broke"))
        await until(lambda: len(source.reads) == 4)
        source.add(event(2))
        assert await waiting == [1, 2]
    assert heard == ["unreachable", None] * 3


async def test_what_came_before_a_gap_is_handed_out_and_the_gap_is_never_passed() -> None:
    async with Subscriber(source=EventSource([event(1), event(2), event(4), event(5)]), from_="start") as subscribed:
        assert await positions_of(subscribed, 2) == [1, 2]
        for _ in range(3):
            with pytest.raises(regista.Damaged):
                await anext(subscribed)


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([event(1), event(3)], "gap"),
        ([event(2)], "gap"),
        ([event(1), event(2, previous="ff")], "chain_broken"),
        ([event(1), event(2, log_id="another")], "another_log"),
    ],
)
async def test_what_does_not_follow_stops_the_subscriber(items: list[LoggedEvent], code: str) -> None:
    async with Subscriber(source=EventSource(items), from_="start") as subscribed:
        with pytest.raises(regista.RegistaError) as stopped:
            await positions_of(subscribed, len(items))
    assert stopped.value.code == code
    assert stopped.value.hint is not None


async def test_in_filtered_streams_numbers_may_be_missing() -> None:
    async with Subscriber(source=EventSource([event(1), event(3)]), from_="start", actors="ci") as subscribed:
        assert await positions_of(subscribed, 2) == [1, 3]


async def test_a_caller_that_stops_waiting_loses_nothing() -> None:
    source = EventSource()
    found: list[int] = []
    async with Subscriber(source=source, from_="start") as subscribed:
        async with asyncio.timeout(5):
            while len(found) < 200:
                source.add(*(event(len(source.items) + 1 + n) for n in range(3)))
                try:
                    async with asyncio.timeout(0.0005):
                        while True:
                            one = await anext(subscribed)
                            found.append(one.position)
                except TimeoutError:
                    pass
    assert found == list(range(1, len(found) + 1))


async def test_a_caller_that_stops_waiting_for_a_set_loses_nothing() -> None:
    source = EventSource([event(1, command="c")])
    async with Subscriber(source=source, from_="start") as subscribed:
        sets = subscribed.sets()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(sets)
        source.add(event(2, command="c"), at(2))
        ((first, second),) = await take(sets, 1)
        assert (first.position, second.position) == (1, 2)


async def test_stopping_ends_the_iteration_and_the_waiting() -> None:
    source, positions = EventSource.of(2), MemoryPositions()
    async with Subscriber(source=source, positions=positions, from_="start") as subscribed:
        async with asyncio.timeout(5):
            async for one in subscribed:
                await one.done()
                if one.position == 2:
                    asyncio.get_running_loop().call_soon(subscribed.stop)
    assert positions.bookmark == at(2)


async def test_being_cancelled_is_not_being_stopped() -> None:
    async with Subscriber(source=EventSource(), from_="start") as subscribed:
        waiting = asyncio.ensure_future(anext(subscribed))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_registry_and_kafka_are_not_read_at_once() -> None:
    with pytest.raises(regista.Invalid, match="not from both"):
        Subscriber("http://127.0.0.1:8080", kafka="127.0.0.1:9092")
