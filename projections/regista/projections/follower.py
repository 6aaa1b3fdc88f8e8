"""The projection of another process, as one that serves queries sees it.

Positions are learnt from the catalogue in the views database. It is looked at when something was committed: within
milliseconds while somebody waits. What is asked of the projector goes through a table, and is answered there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from regista.domain.errors import Unavailable
from regista.projections.catalogue import Entry
from regista.projections.desk import Desk, ViewsSource, Watcher
from regista.projections.leadership import Condition, Observed
from regista.projections.projection import ProjectorState
from regista.projections.reader import Reader
from regista.projections.rebuild import Comparison, readable_digests
from regista.projections.requests import Asker, no_projector
from regista.projections.skips import Skip
from regista.projections.standings import Standings
from regista.projections.trouble import Trouble
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS
from regista.projections.waiting import Pause, Waiters

T = TypeVar("T")
log = logging.getLogger(__name__)
POLL = 1.0
BACK_OFF = 1.0


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is open in the database. ``desk`` and ``reader`` belong to the thread, ``watcher`` to the loop."""

    desk: Desk
    reader: Reader
    watcher: Watcher
    observed: Observed


class ViewsFollower:
    """Implements ``Projection`` where another process projects. Belongs to one event loop.

    The database may be away when it is made, and while it works: nothing is visible then that was not before.
    """

    def __init__(self, database: ViewsSource, views: Sequence[View] = VIEWS) -> None:
        self._database = database
        self._standings = Standings(views)
        self._waiters = Waiters(self._standings.have_reached)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="views-follower")
        self._pause = Pause()
        self._opened: _Opened | None = None
        self._running: asyncio.Task[None] | None = None
        self._trouble: Trouble | None = None
        self._condition = Condition()

    async def run(self) -> None:
        """Follow until ``close``. What goes wrong is reported by ``status`` and tried again."""
        self._running = asyncio.current_task()
        try:
            while not self._pause.is_over:
                try:
                    opened = self._opened = self._opened or await self._open()
                    await self._look(opened)
                except Exception as error:  # noqa: BLE001 - whatever the driver raises: tried again
                    await self._fail(error)
                    await self._pause.until(asyncio.sleep(BACK_OFF))
                else:
                    await self._pause.until(opened.watcher.changed(POLL, eager=bool(self._waiters)))
        finally:
            await self._release()

    async def close(self) -> None:
        """As ``Projection.close``."""
        self._pause.end()
        self._waiters.dismiss()
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()

    async def wait_for(self, position: int, timeout: float, views: Sequence[str] | None = None) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """As ``Projection.wait_for``."""
        names = frozenset(self._standings.views if views is None else views)
        return await self._waiters.wait(position, names, timeout, self._pause.wake)

    def status(self) -> ProjectorState:
        """How everything stood when it was looked at last."""
        said = self._condition
        error, hint = (self._trouble.detail, self._trouble.hint) if self._trouble else (said.error, said.hint)
        standings = self._standings
        return ProjectorState(standings.head(), standings.states(), said.rebuilding, error, said.skips, hint)

    async def skip(self, position: int, reason: str, view: str | None = None, *, actor: str) -> tuple[Skip, ...]:
        """As ``Projection.skip``."""
        body = {"position": position, "reason": reason, "view": view, "actor": actor}
        return tuple(Skip(**skip) for skip in await self._asker().ask("skip", body))

    async def rebuild(self, progress: Callable[[int, int], None] | None = None) -> list[Comparison]:
        """As ``Projection.rebuild``."""
        return [Comparison(**compared) for compared in await self._asker().ask("rebuild", {}, progress)]

    async def digests(self) -> dict[str, str]:
        """As ``Projection.digests``."""
        return await asyncio.to_thread(readable_digests, self._database, self._standings.views)

    def _asker(self) -> Asker:
        if self._opened is None:
            trouble = self._trouble or Trouble("the views are not open yet")
            raise Unavailable(trouble.detail, code="no_projector", hint=trouble.hint)
        return Asker(self._opened.desk, self._opened.observed, self._blocking)

    async def _open(self) -> _Opened:
        desk, reader = await self._blocking(lambda: (self._database.desk(), self._database.reader()))
        return _Opened(desk, reader, self._database.watch(), Observed(desk))

    async def _look(self, opened: _Opened) -> None:
        entries = await self._blocking(lambda: _read(opened))
        self._standings.follow(entries)
        leader = opened.observed.leader
        self._condition = leader.condition if leader is not None else Condition()
        self._trouble = None if opened.observed.is_alive else Trouble.of(no_projector())
        self._waiters.settle()

    async def _fail(self, error: Exception) -> None:
        trouble = Trouble.of(error)
        if self._trouble != trouble:
            log.warning("the views cannot be followed: %s", trouble.detail)
        self._trouble = trouble
        await self._release()

    async def _release(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        opened.watcher.close()
        with suppress(Exception):
            await self._blocking(opened.desk.close)
        with suppress(Exception):
            await self._blocking(opened.reader.close)

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _read(opened: _Opened) -> list[Entry]:
    opened.observed.look()
    try:
        return opened.reader.entries()
    except Unavailable as error:
        if error.code == "view_rebuilding":
            return []
        raise
