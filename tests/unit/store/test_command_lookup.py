"""Many who ask for commands at the same time cost one look; nobody gets an answer from before they asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from typing import cast

import pytest

from regista.domain.errors import Unavailable
from regista.store.append import CommandFound
from regista.store.log import LogReader
from regista.store.lookup import CommandLookup

FOUND = CommandFound(bytes(32), 7, 1, bytes(32))


class FarAway:
    """A log that answers when it is let."""

    immediate = False

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], CommandFound] = {}
        self.asked: list[set[tuple[str, str]]] = []
        self.let = threading.Semaphore(0)
        self.fails = False

    def find_commands(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], CommandFound]:
        self.asked.append(set(keys))
        found = {key: self.known[key] for key in keys if key in self.known}
        self.let.acquire()
        if self.fails:
            raise Unavailable("gone")
        return found


@pytest.fixture
def log() -> FarAway:
    return FarAway()


@pytest.fixture
def lookup(log: FarAway) -> CommandLookup:
    return CommandLookup(cast("LogReader", log))


async def asked(log: FarAway, number: int) -> None:
    async with asyncio.timeout(10):
        while len(log.asked) < number:  # noqa: ASYNC110 - a thread fills it
            await asyncio.sleep(0.001)


async def test_those_who_ask_while_a_look_runs_share_the_next(log: FarAway, lookup: CommandLookup) -> None:
    first = asyncio.create_task(lookup.find("ci", "a"))
    await asked(log, 1)
    log.known[("ci", "a")] = FOUND
    others = [asyncio.create_task(lookup.find("ci", name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    log.let.release(2)
    assert await first is None
    assert await asyncio.gather(*others) == [FOUND, None, None]
    assert log.asked == [{("ci", "a")}, {("ci", "a"), ("ci", "b"), ("ci", "c")}]


async def test_an_error_is_told_to_all_who_asked_and_the_next_look_goes_on(log: FarAway, lookup: CommandLookup) -> None:
    log.fails = True
    log.let.release(1)
    answers = await asyncio.gather(lookup.find("ci", "a"), lookup.find("ci", "b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    log.fails = False
    log.let.release(1)
    assert await lookup.find("ci", "a") is None


async def test_whoever_goes_away_holds_nobody_up(log: FarAway, lookup: CommandLookup) -> None:
    one, other = (asyncio.create_task(lookup.find("ci", name)) for name in ("a", "b"))
    await asked(log, 1)
    one.cancel()
    log.let.release(1)
    assert await other is None
