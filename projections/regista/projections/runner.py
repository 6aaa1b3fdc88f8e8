"""The projector: folds the log into the views, one batch and one transaction at a time.

Generations of views that have come equally far move together in one group, so that each event is read and decoded
once for all of them. The leading group holds the live views. One that is being built runs behind it, from zero, in
smaller steps between those of the live ones; when it has come as far, it moves along with them, and takes over in one
transaction. A view that cannot apply an event stands still, ``degraded``, and goes on answering.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from regista.domain.chain import Head
from regista.domain.errors import Damaged, RegistaError
from regista.projections.digest import view_digest
from regista.projections.feed import Feed
from regista.projections.generations import Generations, ViewState
from regista.projections.member import Member, apply, stands_before
from regista.projections.rebuild import Comparison, Rebuild
from regista.projections.skips import Skip
from regista.projections.storage import Overtaken, ViewsStorage
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS
from regista.projections.waiting import Waiters

T = TypeVar("T")
log = logging.getLogger(__name__)

BATCH = 10_000
BATCH_BESIDE_LIVE = 2_000
"""Of a view that is built while others serve: short, so that these stay fresh."""
POLL = 1.0
BACK_OFF = 1.0
RESTS = 3.0
LONGEST_REST = 0.025
SMALL_BATCH = 500
"""Behind a batch smaller than this, and while nobody waits, the projector rests for ``RESTS`` times as long as the batch
took, ``LONGEST_REST`` seconds at most: a transaction for every few events would cost those who write in the same
process up to three times as much, and write the same pages again and again."""


@dataclass(frozen=True, slots=True)
class ProjectorState:
    """How the projector stands. ``error`` says why nothing moves at all, where that is so.

    ``skips``: what the views of any log were told to pass over.
    """

    head: Head
    views: tuple[ViewState, ...]
    rebuilding: bool
    error: str | None
    skips: tuple[Skip, ...]


class Projector:
    """Folds a feed into a views database. Belongs to one event loop; its database work runs in one thread."""

    def __init__(self, feed: Feed, database: ViewsStorage, views: Sequence[View] = VIEWS) -> None:
        self._feed = feed
        self._database = database
        self._generations = Generations(database, views)
        self._views = self._generations.views
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projector")
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="projector-ahead")
        self._waiters = Waiters(self._generations.have_reached)
        self._rebuild: Rebuild | None = None
        self._error: str | None = None
        self._caught_up = False
        self._moved_last = 0
        self._took = 0.0
        self._resting = False
        self._closing = asyncio.Event()
        self._waiting: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Fold until ``close``. What goes wrong is reported by ``status`` and tried again; nothing ends the loop."""
        await self._attempt(self._start)
        while not self._closing.is_set():
            if not self._generations.members:
                moved = await self._attempt(self._start)
            else:
                moved = await self._attempt(self._step)
            if moved is None or (moved is False and not self._generations.lead()):
                await self._idle(asyncio.sleep(BACK_OFF))
            elif moved is False:
                await self._idle(self._feed.wait(self._generations.lead()[0].entry.position, POLL))
            elif self._pacing():
                self._resting = True
                await self._idle(asyncio.sleep(min(RESTS * self._took, LONGEST_REST)))
                self._resting = False

    async def close(self) -> None:
        """End ``run`` after the batch in hand, and the thread. The database stays open."""
        self._closing.set()
        self._wake()
        async with self._lock:
            self._waiters.dismiss()
            if self._rebuild is not None:
                self._rebuild.fail(asyncio.CancelledError())
                self._rebuild = None
        self._thread.shutdown()
        self._ahead.shutdown()

    async def wait_for(self, position: int, timeout: float, views: Sequence[str] | None = None) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """Wait until the views (all, by default) answer for ``position``. False when that took too long."""
        names = frozenset(self._views if views is None else views)
        return await self._waiters.wait(position, names, timeout, self._hurry)

    def status(self) -> ProjectorState:
        """How everything stands now."""
        lead = self._generations.lead()
        head = lead[0].entry.progress.head if lead else Head()
        skips = self._database.recorded_skips()
        return ProjectorState(head, self._generations.states(), self._rebuild is not None, self._error, skips)

    async def skip(self, position: int, reason: str, view: str | None = None, *, actor: str) -> tuple[Skip, ...]:
        """Record that a view passes over the event at ``position``, and let degraded ones go on.

        Without a name: all that stand still before this very position. By name also ahead, for what a rebuild met.

        Raises:
            NotFound: ``unknown_view``.
            Refused: ``nothing_to_skip``.
            OSError: it cannot be recorded.
        """
        async with self._lock:
            names = self._generations.to_skip(position, view)
            log_id, time = await self._feed.log_id(), datetime.now(UTC).isoformat().replace("+00:00", "Z")
            skips = tuple(Skip(log_id, n, self._views[n].version, position, reason, actor, time) for n in names)
            await self._blocking(lambda: self._database.skip(skips))
            log.warning("%s passes over position %d from now on: %s", ", ".join(names), position, reason)
            await self._blocking(self._generations.load)
        self._wake()
        return skips

    async def rebuild(self, progress: Callable[[int, int], None] | None = None) -> list[Comparison]:
        """Build every view anew from the first event, beside the live ones, and put it in their place.

        Returns how the digests of old and new compare. ``progress`` is told the position reached and the goal.

        Raises:
            RuntimeError: a rebuild is under way, or the projector is not running.
            Damaged: ``rebuild_failed``: the new tables cannot apply an event; the live ones stay.
        """
        if self._rebuild is not None:
            raise RuntimeError("a rebuild is under way")
        if self._closing.is_set():
            raise RuntimeError("the projector is closed")
        async with self._lock:
            self._rebuild = rebuild = Rebuild(asyncio.get_running_loop().create_future(), progress, self._wake)
            await self._blocking(self._generations.add)
        self._wake()
        return await rebuild.done

    async def digests(self) -> dict[str, str]:
        """The digest of every readable view, all at one moment."""

        def compute() -> dict[str, str]:
            reader = self._database.reader()
            try:
                with reader.snapshot():
                    entries = [e for e in reader.entries() if e.readable and e.view in self._views]
                    return {e.view: view_digest(reader, self._views[e.view], e.generation) for e in entries}
            finally:
                reader.close()

        return await asyncio.to_thread(compute)

    async def _attempt(self, action: Callable[[], object]) -> bool | None:
        """Whether an action moved anything; None when it failed, and why is in ``status``."""
        try:
            async with self._lock:
                moved = await action()  # type: ignore[misc]  # both actions are coroutines giving bool
        except Overtaken:
            self._generations.members = []
            return None
        except Exception as error:  # a defect too: whoever asks is told, and what serves goes on serving
            if await self._is_replaced(error):
                self._generations.members = []
                return True
            if self._error is None:
                log.exception("the projector stands still")
            self._error = error.detail if isinstance(error, RegistaError) else f"{type(error).__name__}: {error}"
            return None
        self._error = None
        self._waiters.settle()
        return bool(moved)

    async def _is_replaced(self, error: Exception) -> bool:
        """Whether the log diverged because another one took its place: an import into an empty registry."""
        if not isinstance(error, Damaged) or error.code != "log_diverged":
            return False
        try:
            return await self._blocking(self._database.log_id) != await self._feed.log_id()
        except (RegistaError, sqlite3.Error):
            return False

    def _hurry(self) -> None:
        """Somebody waits: rest no longer."""
        if self._resting:
            self._wake()

    def _pacing(self) -> bool:
        return self._moved_last < SMALL_BATCH and not self._waiters and self._rebuild is None

    async def _idle(self, until: Coroutine[Any, Any, None]) -> None:
        """Wait, or until ``_wake``."""
        if self._closing.is_set():
            until.close()
            return
        self._waiting = asyncio.create_task(until)
        try:
            await asyncio.wait([self._waiting])
        finally:
            self._waiting.cancel()
        if not self._waiting.cancelled():
            self._waiting.result()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _start(self) -> bool:
        log_id = await self._feed.log_id()
        if await self._blocking(self._database.log_id) != log_id:
            await self._blocking(lambda: self._database.clear(log_id))
        await self._blocking(self._generations.load)
        return True

    async def _step(self) -> bool:
        """One batch for every group, the leading one first."""
        moved = False
        for group in self._generations.groups():
            moved = await self._advance(group) or moved
        await self._take_over()
        return moved

    async def _advance(self, group: Sequence[Member]) -> bool:
        lead = self._generations.lead()
        leading = group[0].entry.progress == lead[0].entry.progress
        goal = lead[0].entry.position
        limit = BATCH if leading or not any(m.entry.readable for m in lead) else BATCH_BESIDE_LIVE
        rows = (await self._feed.read(group[0].entry.progress.mark, limit)).rows
        if leading:
            self._caught_up = not rows
        else:
            rows = [row for row in rows if row.position <= goal]
        if not rows:
            return False
        self._moved_last, started = len(rows), asyncio.get_running_loop().time()
        self._generations.moved(await self._blocking(lambda: apply(self._database, group, rows, self._ahead)))
        self._took = asyncio.get_running_loop().time() - started
        self._waiters.settle()
        if not leading and self._rebuild is not None:
            self._rebuild.report(rows[-1].position, goal)
        return True

    async def _take_over(self) -> None:
        """Let built generations take the place of the live ones, once they have come as far."""
        building = self._generations.building()
        if not building:
            return
        failed = next((m for m in building if m.entry.error is not None), None)
        if failed is not None and self._rebuild is not None:
            name, error = failed.view.name, str(failed.entry.error)
            hint = f"regista skip {stands_before(error)} --view {name} --reason … passes over it; or upgrade."
            await self._give_up(self._rebuild, building, f"the rebuilt view {name} cannot apply {error}", hint)
            return
        if not all(self._generations.is_ready(member, caught_up=self._caught_up) for member in building):
            return
        if self._rebuild is not None and not await self._compared(self._rebuild, building):
            return
        await self._blocking(lambda: self._generations.flip(building))
        if self._rebuild is not None:
            self._rebuild.finish()
            self._rebuild = None

    async def _compared(self, rebuild: Rebuild, building: Sequence[Member]) -> bool:
        """Whether the digests of old and new are known; a rebuild that cannot be compared is given up."""
        try:
            return await rebuild.compared(self._database, self._views, self._blocking)
        except Exception as error:
            log.exception("what was rebuilt cannot be compared with what it replaces")
            why = f"the rebuilt views cannot be compared: {type(error).__name__}: {error}"
            await self._give_up(rebuild, building, why, "Try again.")
            return False

    async def _give_up(self, rebuild: Rebuild, building: Sequence[Member], why: str, hint: str) -> None:
        await self._blocking(lambda: self._generations.drop(building))
        rebuild.fail(Damaged(why, code="rebuild_failed", hint=f"The live views stay as they are. {hint}"))
        self._rebuild = None
