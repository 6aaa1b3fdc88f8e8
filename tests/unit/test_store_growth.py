"""Waiting for something to grow ends when it has, is looked after, or the time is over; never later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from regista.store.feed import StoreFeed
from regista.store.growth import Growth
from regista.store.sqlite import SQLiteLogStore

NEVER = 3600.0
SOON = 20.0


async def test_who_waits_is_woken_at_once() -> None:
    growth, there = Growth(NEVER), asyncio.Event()
    looks = 0

    async def look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            # Comes between the look and the wait for what comes after it.
            there.set()
            growth.notify()
            return False
        return there.is_set()

    async with asyncio.timeout(SOON):
        await growth.wait(look, NEVER)
    assert looks == 2


async def test_what_nobody_tells_of_is_found_by_looking() -> None:
    looks: Iterator[bool] = iter([False, False, True])

    async def look() -> bool:
        return next(looks)

    async with asyncio.timeout(SOON):
        await Growth(0.01).wait(look, NEVER)
    assert list(looks) == []


@pytest.mark.parametrize("hangs", [False, True], ids=["nothing comes", "the look hangs"])
async def test_waiting_ends_in_time(*, hangs: bool) -> None:
    async def look() -> bool:
        if hangs:
            await asyncio.Event().wait()
        return False

    async with asyncio.timeout(SOON):
        await Growth(0.01).wait(look, 0.05)


class Slow(SQLiteLogStore):
    """Answers, as over a network, when it is told to."""

    immediate = False
    looks = 0

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.may_answer = Event()

    def max_position(self) -> int:
        self.looks += 1
        assert self.may_answer.wait(SOON)
        return super().max_position()


async def test_of_many_who_wait_one_asks_and_goes_on_asking_for_the_others_when_it_gives_up(tmp_path: Path) -> None:
    store = Slow(tmp_path)
    try:
        feed = StoreFeed(store, poll=NEVER)
        async with asyncio.timeout(SOON), asyncio.TaskGroup() as waiting:
            first = waiting.create_task(feed.wait(0, 0.05))
            others = [waiting.create_task(feed.wait(0, NEVER)) for _ in range(3)]
            await first
            assert not any(each.done() for each in others)
            store.may_answer.set()
        assert store.looks == 1
    finally:
        store.close()
