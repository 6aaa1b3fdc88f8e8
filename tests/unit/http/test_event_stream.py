"""The event stream: the past and then the present, without gap or repetition, whoever reads and however slowly."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from tests.support.event_list import LOG_ID, EventList, hash_of

from regista.domain.errors import BeyondLog, Refused, Unavailable
from regista.http import tail
from regista.http.sse import EventStreams, Known
from regista.http.tail import EVERYTHING, Wanted


def streams_of(source: EventList, *, readers: int = 10, heartbeat: float = 5.0) -> EventStreams:
    return EventStreams(source, max_readers=readers, heartbeat=heartbeat, patience=5.0)


async def read(stream: AsyncIterator[bytes], count: int) -> list[int]:
    """The positions of the next ``count`` events."""
    found: list[int] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += [int(number) for number in re.findall(rb"^id: (\d+)$", await anext(stream), re.MULTILINE)]
    return found


async def test_the_past_comes_first_and_then_the_present() -> None:
    source = EventList(1_234)
    streams = streams_of(source)
    async with aclosing(streams.chunks(0, EVERYTHING)) as stream:
        assert await read(stream, 1_234) == list(range(1, 1_235))

        source.add(3)
        assert await read(stream, 3) == [1_235, 1_236, 1_237]


async def test_a_reader_goes_on_behind_what_it_had() -> None:
    source = EventList(2_000)
    async with aclosing(streams_of(source).chunks(1_998, EVERYTHING)) as stream:
        assert await read(stream, 2) == [1_999, 2_000]


async def test_nothing_is_lost_between_past_and_present_while_events_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "CAPACITY", 50)
    source = EventList(700)
    streams = streams_of(source)
    total = 5_000

    async def write() -> None:
        while source.position() < total:
            source.add(min(7, total - source.position()))
            await asyncio.sleep(0)

    async def follow(after: int) -> list[int]:
        async with aclosing(streams.chunks(after, EVERYTHING)) as stream:
            return await read(stream, total - after)

    starts = (0, 1, 699, 700, 350, 500)
    _, *found = await asyncio.gather(write(), *(follow(after) for after in starts))

    for after, positions in zip(starts, found, strict=True):
        assert positions == list(range(after + 1, total + 1))


async def test_nothing_is_lost_where_events_are_so_large_that_a_reading_holds_few() -> None:
    source = EventList(500, largest=3)
    async with aclosing(streams_of(source).chunks(0, EVERYTHING)) as stream:
        assert await read(stream, 500) == list(range(1, 501))


@pytest.mark.parametrize(
    ("wanted", "past", "present"),
    [
        (Wanted(model="Fraud"), [1, 3], 5),
        (Wanted(stream="model/churn"), [2, 4], 6),
        (Wanted(actor="ann", model="churn"), [4], 6),
        (Wanted(type="test.v1", actor="ann"), [3, 4], 6),
    ],
)
async def test_filters_let_through_what_they_name(wanted: Wanted, past: list[int], present: int) -> None:
    source = EventList()
    for model, actor in [("fraud", "ci"), ("churn", "ci"), ("fraud", "ann"), ("churn", "ann")]:
        source.add(model=model, actor=actor)

    async with aclosing(streams_of(source).chunks(0, wanted)) as stream:
        assert await read(stream, len(past)) == past
        source.add(model="fraud", actor="ci")
        source.add(model="churn", actor="ann")
        assert await read(stream, 1) == [present]


async def test_readers_of_the_present_share_one_reading() -> None:
    source = EventList(10)
    streams = streams_of(source, readers=50)
    readers = [streams.chunks(10, EVERYTHING) for _ in range(50)]
    for reader in readers:
        await anext(reader)
    before = source.reads

    waiting = asyncio.gather(*(read(reader, 100) for reader in readers))
    for _ in range(10):
        await asyncio.sleep(0)
    source.add(100)
    assert await waiting == [list(range(11, 111))] * 50

    assert source.reads - before <= 3
    for reader in readers:
        await reader.aclose()


async def test_silence_is_broken() -> None:
    async with aclosing(streams_of(EventList(), heartbeat=0.01).chunks(0, EVERYTHING)) as stream:
        for _ in range(3):
            assert (await anext(stream)).startswith(b":")


async def test_one_reader_too_many_is_told_to_come_later() -> None:
    streams = streams_of(EventList(), readers=2)
    streams.admit()
    streams.admit()
    with pytest.raises(Unavailable) as refused:
        streams.admit()
    assert refused.value.code == "too_many_streams"

    streams.leave()
    streams.admit()


async def test_a_position_that_does_not_exist_yet_is_refused() -> None:
    streams = streams_of(EventList(5))
    await streams.check(5, EVERYTHING)

    with pytest.raises(BeyondLog):
        await streams.check(6, EVERYTHING)


async def test_closing_ends_every_stream_and_lets_nobody_in() -> None:
    streams = streams_of(EventList(3))
    stream = streams.chunks(0, EVERYTHING)
    assert await read(stream, 3) == [1, 2, 3]

    ending = asyncio.create_task(_drain(stream))
    await asyncio.sleep(0)
    streams.close()

    async with asyncio.timeout(1):
        assert await ending == []
    with pytest.raises(Unavailable):
        streams.admit()


async def test_views_that_cannot_be_read_send_the_readers_away() -> None:
    source = EventList(3)
    streams = streams_of(source)
    stream = streams.chunks(3, EVERYTHING)
    await anext(stream)
    ending = asyncio.create_task(_drain(stream))
    source.broken = Unavailable("the views are rebuilt")
    source.add()

    async with asyncio.timeout(1):
        assert await ending == []


async def _drain(stream: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in stream if not chunk.startswith(b":")]


async def told(stream: AsyncIterator[bytes]) -> int:
    """The position that the next message about progress names, with its hash; events before it are passed."""
    async with asyncio.timeout(5):
        while True:
            if found := re.search(rb"^event: regista.progress\ndata: (.+)$", await anext(stream), re.MULTILINE):
                said = json.loads(found[1])
                assert said["hash"] == hash_of(said["position"])
                return int(said["position"])


async def test_who_asks_for_it_is_told_how_far_the_log_was_read() -> None:
    source = EventList(300)
    source.add(5, model="churn")
    streams = streams_of(source, heartbeat=0.05)
    async with aclosing(streams.chunks(0, Wanted(model="fraud"), progress=True)) as stream:
        assert await told(stream) == 305  # after the past, although nothing of it passed the filter at the end
        source.add(model="churn")
        assert await told(stream) == 306  # with the heartbeat
        source.add(2, model="fraud")
        assert await told(stream) == 308  # behind the last that was sent
        assert (await anext(stream)).startswith(b":")  # and then nothing new


async def test_nobody_else_is() -> None:
    source = EventList(3)
    async with aclosing(streams_of(source, heartbeat=0.01).chunks(0, EVERYTHING)) as stream:
        said = b"".join([await anext(stream) for _ in range(5)])
    assert b"regista.progress" not in said


@pytest.mark.parametrize(
    ("after", "known", "code"),
    [
        (3, Known("another", hash_of(3)), "another_log"),
        (0, Known("another"), "another_log"),
        (3, Known(LOG_ID, hash_of(4)), "log_diverged"),
        (6, Known(LOG_ID, hash_of(6)), "log_diverged"),
    ],
)
async def test_a_reader_that_remembers_another_log_is_refused(after: int, known: Known, code: str) -> None:
    with pytest.raises(Refused) as refused:
        await streams_of(EventList(5)).check(after, EVERYTHING, known)
    assert refused.value.code == code
    assert refused.value.hint is not None


async def test_a_reader_that_remembers_this_log_goes_on() -> None:
    streams = streams_of(EventList(5))
    await streams.check(5, EVERYTHING, Known(LOG_ID, hash_of(5)))
    await streams.check(5, EVERYTHING, Known(LOG_ID, hash_of(5).upper()))
    await streams.check(0, EVERYTHING, Known(LOG_ID, ""))
