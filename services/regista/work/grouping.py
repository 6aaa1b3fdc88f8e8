"""What waits for the one writer of a database shares its transaction: a commit costs more than what is in it.

There is no timer: a group is whatever was asked for while the commit before it ran.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, exc

LARGEST: Final = 32
_OF_THE_DATABASE: Final = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)
T = TypeVar("T")


class Group:
    """Runs functions in transactions of one thread, in the order in which they came."""

    def __init__(self, thread: ThreadPoolExecutor, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        """``begin`` opens a transaction that is committed when its block ends, and undone when it raises."""
        self._thread = thread
        self._begin = begin
        self._waiting: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """What ``fn`` returns, once that is committed. Only what it did itself is undone when it raises.

        Raises:
            Exception: what ``fn`` raises; where the database fails, what ``begin`` makes of it, for all of the group.
        """
        future: Future[Any] = Future()
        self._waiting.append((fn, future))
        self._thread.submit(self._work)
        return cast("T", await asyncio.wrap_future(future))

    def _work(self) -> None:
        jobs: list[tuple[Callable[[Connection], Any], Future[Any]]] = []
        while self._waiting and len(jobs) < LARGEST:
            fn, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                jobs.append((fn, future))
        if not jobs:
            return
        try:
            with self._begin() as connection:
                outcomes = (
                    _alone(connection, jobs[0][0]) if len(jobs) == 1 else _beside(connection, [j[0] for j in jobs])
                )
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            for _, future in jobs:
                future.set_exception(error)
            return
        for (_, future), (result, failure) in zip(jobs, outcomes, strict=True):
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)


def _alone(connection: Connection, fn: Callable[[Connection], Any]) -> list[tuple[Any, Exception | None]]:
    return [(fn(connection), None)]


def _beside(connection: Connection, fns: Sequence[Callable[[Connection], Any]]) -> list[tuple[Any, Exception | None]]:
    """Each within a savepoint of its own."""
    outcomes: list[tuple[Any, Exception | None]] = []
    for fn in fns:
        try:
            with connection.begin_nested():
                outcomes.append((fn(connection), None))
        except _OF_THE_DATABASE:
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits for this one is told
            outcomes.append((None, error))
    return outcomes
