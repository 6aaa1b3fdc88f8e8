"""Of SQLite, what waits for the work database at the same time is committed together, and stands or falls by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from regista.domain.errors import Unavailable
from regista.work.database import Work


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    with closing(Work.at(tmp_path / "work.db")) as made:
        with sqlite3.connect(tmp_path / "work.db") as connection:
            connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY CHECK (n < 100))")
        yield made


@pytest.fixture
def commits(work: Work) -> list[str]:
    """Each commit from now on."""
    seen: list[str] = []
    event.listen(work._engine, "commit", lambda _: seen.append("commit"))
    return seen


def put(n: int) -> Callable[[Connection], int]:
    def into(connection: Connection) -> int:
        connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})
        if n < 0:
            raise LookupError(str(n))
        return n

    return into


async def kept(work: Work) -> list[int]:
    return list(
        await work.run(lambda connection: connection.execute(text("SELECT n FROM t ORDER BY n")).scalars().all())
    )


@asynccontextmanager
async def taken(work: Work) -> AsyncIterator[None]:
    """Meanwhile somebody has the database."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        go_on.wait()

    holding = asyncio.create_task(work.run(hold))
    await asyncio.to_thread(begun.wait)
    try:
        yield
    finally:
        go_on.set()
        await holding


async def held(work: Work, *fns: Callable[[Connection], int]) -> list[int | BaseException]:
    """What becomes of functions that all wait while another one has the database."""
    async with taken(work):
        waiting = [asyncio.create_task(work.run(fn)) for fn in fns]
        await asyncio.sleep(0)
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_waits_is_committed_together_in_its_order(work: Work, commits: list[str]) -> None:
    assert await held(work, *map(put, range(20))) == list(range(20))
    assert len(commits) == 2  # that of what was waited for, and theirs
    assert await kept(work) == list(range(20))


async def test_what_raises_is_undone_and_hinders_no_other(work: Work) -> None:
    one, minus, two, twice = await held(work, put(1), put(-2), put(2), put(1))
    assert (one, two) == (1, 2)
    assert isinstance(minus, LookupError)
    assert isinstance(twice, Exception)
    assert await kept(work) == [1, 2]


async def test_what_is_cancelled_before_it_begins_does_not_begin(work: Work) -> None:
    async with taken(work):
        given_up, stays = asyncio.create_task(work.run(put(1))), asyncio.create_task(work.run(put(2)))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
    assert await stays == 2
    assert await kept(work) == [2]


async def test_a_database_that_fails_fails_all_of_them(work: Work) -> None:
    def broken(connection: Connection) -> int:
        connection.execute(text("SELECT * FROM nowhere"))
        return 0

    answers = await held(work, put(1), broken, put(2))
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert await kept(work) == []
