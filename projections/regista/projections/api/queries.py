"""Runs reads: waits for the position asked for, takes one snapshot, says which position the answer reflects.

Look-ups of microseconds run on the event loop; whatever may look at many rows, or waits for a network, runs in a few
threads, each with a connection of its own, under a deadline.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias

from regista.domain.errors import BeyondLog, Unavailable
from regista.projections.api.answers import Answer
from regista.projections.api.moments import positions_named
from regista.projections.api.versions import holder
from regista.projections.desk import ViewsSource
from regista.projections.reader import Reader

Read: TypeAlias = Callable[[Reader, Mapping[str, Any]], Answer]
Held: TypeAlias = tuple[bytes, int, int]
FRESH_SECONDS = 2.0
DEADLINE_SECONDS = 10.0
THREADS = 3
REMOTE_THREADS = 8
"""Where reads wait for a network, they do not wait for each other."""
REMEMBERED = 1_000
"""Answers of the hot path that are kept while nothing is written: about 2 KB each."""


class Freshness(Protocol):
    """Whoever knows when the views have come as far as a position."""

    async def wait_for(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """Whether all views answer for ``position`` within ``timeout`` seconds."""
        ...


class Remembered:
    """Answers of the hot path, while nothing is written. Belongs to one thread."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Held] = {}
        self._at: Hashable = None

    def look(self, version: Hashable, key: str, stage: str) -> Held | None:
        """What was answered before, if it still holds."""
        if version != self._at or len(self.held) >= REMEMBERED:
            self.held.clear()
            self._at = version
        return self.held.get((key, stage))


class Queries:
    """All reads of one process. Belongs to one event loop."""

    def __init__(self, database: ViewsSource, freshness: Freshness, log_end: Callable[[], int]) -> None:
        """``log_end`` gives the last position of the log; it is asked only when a position is not there yet."""
        self._database = database
        self._freshness = freshness
        self._log_end = log_end
        self._reader = database.reader()
        threads = THREADS if database.immediate else REMOTE_THREADS
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="queries", initializer=self._open)
        self._local = threading.local()
        self._readers: list[Reader] = []
        self._remembered = Remembered()

    def close(self) -> None:
        """Wait for the reads in hand, and close the connections."""
        self._pool.shutdown()
        for reader in (self._reader, *self._readers):
            reader.close()

    async def fresh(self, arguments: Mapping[str, Any]) -> int:
        """Wait until the views answer for every position that a read names: ``min_position``, and its moments.

        Returns the last of these positions, 0 where none is named.

        Raises:
            Malformed: ``bad_moment``.
            BeyondLog: the log itself has not come as far.
            Unavailable: ``not_visible_yet``, after two seconds.
        """
        named = positions_named(arguments)
        if "min_position" in arguments:
            named["min_position"] = arguments["min_position"]
        if not named:
            return 0
        name, position = max(named.items(), key=lambda item: item[1])
        if await self._freshness.wait_for(position, 0):
            return position
        end = await asyncio.to_thread(self._log_end)
        if position > end:
            raise BeyondLog(
                f"{name}={position} is beyond the end of the log, {end}",
                hint="Name a position that a write answered, or leave it out for now.",
            )
        if not await self._freshness.wait_for(position, FRESH_SECONDS):
            raise _not_visible(position)
        return position

    async def quick(self, read: Read, arguments: Mapping[str, Any]) -> tuple[Answer, int]:
        """Run a read of a few look-ups; its answer and the position."""
        if not self._database.immediate:
            return await self.thorough(read, arguments)
        return _run(self._reader, read, arguments, await self.fresh(arguments))

    async def thorough(self, read: Read, arguments: Mapping[str, Any]) -> tuple[Answer, int]:
        """Run a read that may look at many rows, in a thread; its answer and the position.

        Raises:
            Unavailable: ``query_too_slow``, after ten seconds.
        """
        position = await self.fresh(arguments)

        def work() -> tuple[Answer, int]:
            with self._local.reader.deadline(DEADLINE_SECONDS):
                return _run(self._local.reader, read, arguments, position)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def holder(self, key: str, stage: str) -> Held | None:
        """The hot path: the version in a stage, encoded, its sequence, and the position; None: look for the reason.

        Answers are remembered for as long as the database does not change, whoever changes it.
        """
        if self._database.immediate:
            return self._holder(self._reader, self._remembered, key, stage)

        def work() -> Held | None:
            with self._local.reader.deadline(DEADLINE_SECONDS):
                return self._holder(self._local.reader, self._local.remembered, key, stage)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    @staticmethod
    def _holder(reader: Reader, remembered: Remembered, key: str, stage: str) -> Held | None:
        found = remembered.look(reader.data_version(), key, stage)
        if found is None:
            with reader.snapshot():
                found = holder(reader, key, stage)
            if found is not None:
                remembered.held[key, stage] = found
        return found

    def _open(self) -> None:
        self._local.reader = self._database.reader()
        self._local.remembered = Remembered()
        self._readers.append(self._local.reader)


def _run(reader: Reader, read: Read, arguments: Mapping[str, Any], position: int) -> tuple[Answer, int]:
    with reader.snapshot():
        reached = min(reader.positions().values(), default=0)
        if reached < position:  # a server that crashed may have lost what was visible, and is folding it again
            raise _not_visible(position)
        return read(reader, arguments), reached


def _not_visible(position: int) -> Unavailable:
    return Unavailable(
        f"position {position} is not visible yet",
        code="not_visible_yet",
        hint="Ask again; GET /v1/status shows how far each view is and why one stands still.",
    )
