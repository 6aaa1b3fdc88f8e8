"""The log store as a feed: inclusive reads, whole atomic sets, prompt and polled wake-ups."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, filled, tamper

from regista.domain.errors import Damaged
from regista.projections.feed import START, Mark
from regista.store.feed import StoreFeed
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path)
    filled(store)
    yield store
    store.close()


def mark(store: SQLiteLogStore, position: int) -> Mark:
    row = store.row(position)
    assert row is not None
    return Mark.of(row)


async def positions(feed: StoreFeed, after: Mark, limit: int) -> list[int]:
    return [row.position for row in (await feed.read(after, limit)).rows]


async def test_the_whole_log_is_read_in_order_from_its_start(store: SQLiteLogStore) -> None:
    feed = StoreFeed(store)
    assert list((await feed.read(START, 100)).rows) == store.read(1, 100)
    assert await feed.log_id() == store.log_id


async def test_what_follows_a_mark_is_read_without_the_mark(store: SQLiteLogStore) -> None:
    feed = StoreFeed(store)
    assert await positions(feed, mark(store, 7), 3) == [8, 9, 10]
    assert await positions(feed, mark(store, 12), 3) == []


@pytest.mark.parametrize("limit", [1, 2, 4, 5])
async def test_an_atomic_set_is_never_split(store: SQLiteLogStore, limit: int) -> None:
    # Positions 5 and 6 are one set.
    read = await positions(StoreFeed(store), mark(store, 4), 1)
    assert read == [5, 6]
    assert (5 in (found := await positions(StoreFeed(store), START, limit))) == (6 in found)


async def test_a_set_longer_than_any_read_is_whole(store: SQLiteLogStore) -> None:
    Writer(store, actor="bulk").write(*(f"m{n}" for n in range(200)))
    assert await positions(StoreFeed(store), mark(store, 12), 10) == list(range(13, 213))
    Writer(store, actor="next").write("a")
    assert await positions(StoreFeed(store), mark(store, 12), 10) == list(range(13, 213))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET state = state || x'00' WHERE position = 12",
        "DELETE FROM events WHERE position = 12",
        "UPDATE events SET position = 13 WHERE position = 12",
    ],
)
async def test_a_log_that_lost_or_changed_the_remembered_event_halts_its_reader(
    store: SQLiteLogStore, tmp_path: Path, change: str
) -> None:
    remembered = mark(store, 12)
    tamper(tmp_path / "log.db", change.replace("state || x'00'", "zeroblob(9)"))
    with pytest.raises(Damaged) as caught:
        await StoreFeed(store).read(remembered, 10)
    assert caught.value.code == "log_diverged"


async def test_an_unreadable_event_is_passed_on_by_itself(store: SQLiteLogStore, tmp_path: Path) -> None:
    tamper(tmp_path / "log.db", "UPDATE events SET state = x'00' WHERE position IN (7, 8)")
    assert await positions(StoreFeed(store), mark(store, 6), 1) == [7]


async def test_a_waiter_is_woken_by_a_notice(store: SQLiteLogStore) -> None:
    feed = StoreFeed(store, poll=3600)
    waiting = asyncio.create_task(feed.wait(12, 3600))
    await asyncio.sleep(0)
    assert not waiting.done()
    Writer(store, actor="x").write("a")
    feed.notify()
    await asyncio.wait_for(waiting, 5)


async def test_a_notice_without_anything_new_wakes_nobody(store: SQLiteLogStore) -> None:
    feed = StoreFeed(store, poll=3600)
    waiting = asyncio.create_task(feed.wait(12, 3600))
    for _ in range(3):
        await asyncio.sleep(0)
        feed.notify()
    assert not waiting.done()
    waiting.cancel()


async def test_what_another_process_appended_is_noticed_by_polling(store: SQLiteLogStore, tmp_path: Path) -> None:
    reader = SQLiteLogReader(tmp_path / "log.db")
    feed = StoreFeed(reader, poll=0.01)
    waiting = asyncio.create_task(feed.wait(12, 3600))
    await asyncio.sleep(0)
    Writer(store, actor="x").write("a")
    await asyncio.wait_for(waiting, 5)
    reader.close()


async def test_a_wait_ends_at_once_when_there_is_more_and_at_its_timeout_when_not(store: SQLiteLogStore) -> None:
    feed = StoreFeed(store)
    await asyncio.wait_for(feed.wait(11, 3600), 5)
    await asyncio.wait_for(feed.wait(12, 0.01), 5)
