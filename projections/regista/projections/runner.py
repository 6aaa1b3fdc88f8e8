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
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from regista.domain.chain import Head
from regista.domain.errors import Damaged, RegistaError
from regista.projections.catalogue import Entry
from regista.projections.database import Overtaken, ViewsDatabase
from regista.projections.decoding import Progress
from regista.projections.digest import view_digest
from regista.projections.feed import Feed
from regista.projections.member import Member, apply
from regista.projections.rebuild import Comparison, Rebuild
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
class ViewState:
    """How one view stands: ``live``, ``degraded`` (it serves, but stands still) or ``rebuilding`` (none serves yet)."""

    name: str
    version: int
    position: int
    state: str
    error: str | None


@dataclass(frozen=True, slots=True)
class ProjectorState:
    """How the projector stands. ``error`` says why nothing moves at all, where that is so."""

    head: Head
    views: tuple[ViewState, ...]
    rebuilding: bool
    error: str | None


class Projector:
    """Folds a feed into a views database. Belongs to one event loop; its database work runs in one thread."""

    def __init__(self, feed: Feed, database: ViewsDatabase, views: Sequence[View] = VIEWS) -> None:
        self._feed = feed
        self._database = database
        self._views = {view.name: view for view in views}
        self._members: list[Member] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projector")
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="projector-ahead")
        self._waiters = Waiters(self._reached)
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
            if not self._members:
                moved = await self._attempt(self._start)
            else:
                moved = await self._attempt(self._step)
            if moved is None or (moved is False and not self._lead()):
                await self._idle(asyncio.sleep(BACK_OFF))
            elif moved is False:
                await self._idle(self._feed.wait(self._lead_position(), POLL))
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
        states = []
        for name, view in self._views.items():
            entry = self._readable(name)
            if entry is None:
                behind = [m.entry for m in self._members if m.view.name == name]
                position, error = (behind[0].position, behind[0].error) if behind else (0, None)
                states.append(ViewState(name, view.version, position, "rebuilding", error))
            else:
                states.append(ViewState(name, entry.version, entry.position, entry.state, entry.error))
        lead = self._lead()
        head = lead[0].entry.progress.head if lead else Head()
        return ProjectorState(head, tuple(states), self._rebuild is not None, self._error)

    async def skip(self, position: int, reason: str, view: str | None = None) -> None:
        """Record that the views (or one) pass over the event at ``position``, and let degraded ones go on."""
        views = [self._views[view]] if view is not None else list(self._views.values())

        def record() -> None:
            for each in views:
                self._database.skip(each, position, reason)
            self._load()

        async with self._lock:
            await self._blocking(record)
        self._wake()

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
            await self._blocking(self._add_generation)
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
            self._members = []
            return None
        except (RegistaError, sqlite3.Error, OSError) as error:
            if await self._is_replaced(error):
                self._members = []
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
        await self._blocking(self._load)
        return True

    def _load(self) -> None:
        """Take the members from the catalogue; a view that has no generation of its version gets one."""
        entries = self._database.entries()
        members: list[Member] = []
        for view in self._views.values():
            own = [e for e in entries if e.view == view.name and e.version == view.version]
            kept = [replace(e, state="live", error=None) if e.state == "degraded" else e for e in own]
            members.extend(Member(view, e) for e in kept)
            if not own:
                members.append(self._created(view, entries))
        self._members = members

    def _created(self, view: View, entries: Sequence[Entry]) -> Member:
        last = max((e.generation for e in entries if e.view == view.name), default=0)
        entry = Entry(view.name, view.version, last + 1, "building")
        self._database.create(view, entry)
        return Member(view, entry)

    def _add_generation(self) -> None:
        entries = self._database.entries()
        self._members += [self._created(view, entries) for view in self._views.values()]

    async def _step(self) -> bool:
        """One batch for every group, the leading one first."""
        moved = False
        for group in self._groups():
            moved = await self._advance(group) or moved
        await self._take_over()
        return moved

    def _groups(self) -> list[list[Member]]:
        """Members that move, by progress: the leading group first, then the others, the furthest first."""
        by_progress: dict[Progress, list[Member]] = {}
        for member in self._members:
            if member.entry.error is None:
                by_progress.setdefault(member.entry.progress, []).append(member)
        return sorted(by_progress.values(), key=_rank, reverse=True)

    def _lead(self) -> list[Member]:
        groups = self._groups()
        return groups[0] if groups else []

    def _lead_position(self) -> int:
        lead = self._lead()
        return lead[0].entry.position if lead else 0

    async def _advance(self, group: Sequence[Member]) -> bool:
        lead = self._lead()
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
        moved = {m.entry.key: m for m in await self._blocking(lambda: apply(self._database, group, rows, self._ahead))}
        self._took = asyncio.get_running_loop().time() - started
        self._members = [moved.get(m.entry.key, m) for m in self._members]
        self._waiters.settle()
        if not leading and self._rebuild is not None:
            self._rebuild.report(rows[-1].position, goal)
        return True

    async def _take_over(self) -> None:
        """Let built generations take the place of the live ones, once they have come as far."""
        building = [m for m in self._members if not m.entry.readable]
        if not building:
            return
        failed = next((m for m in building if m.entry.error is not None), None)
        if failed is not None and self._rebuild is not None:
            await self._give_up(self._rebuild, building, failed)
            return
        if not all(self._ready(member) for member in building):
            return
        if self._rebuild is not None and not await self._rebuild.compared(self._database, self._views, self._blocking):
            return
        await self._blocking(lambda: self._flip(building))
        if self._rebuild is not None:
            self._rebuild.finish()
            self._rebuild = None

    def _ready(self, member: Member) -> bool:
        """Whether a built generation may serve: it has come as far as the live ones, or as far as it can.

        Where nothing serves yet, that is the end of the log; and a view that stands still serves what it has.
        """
        lead = self._lead()
        if member.entry.error is not None:
            return self._readable(member.view.name) is None
        if not lead or member.entry.progress != lead[0].entry.progress:
            return False
        return self._caught_up or any(m.entry.readable for m in lead)

    async def _give_up(self, rebuild: Rebuild, building: Sequence[Member], failed: Member) -> None:
        await self._blocking(lambda: self._drop(building))
        rebuild.fail(
            Damaged(
                f"the rebuilt view {failed.view.name} cannot apply {failed.entry.error}",
                code="rebuild_failed",
                hint="The live views stay as they are. Skip the position, or upgrade.",
            )
        )
        self._rebuild = None

    def _drop(self, members: Sequence[Member]) -> None:
        with self._database.transaction():
            for member in members:
                self._database.drop(member.view, member.entry)
        gone = {m.entry.key for m in members}
        self._members = [m for m in self._members if m.entry.key not in gone]

    def _flip(self, ready: Sequence[Member]) -> None:
        new = {
            m.entry.view: Member(m.view, replace(m.entry, state="live" if m.entry.error is None else "degraded"))
            for m in ready
        }
        keep = {m.entry.key for m in ready}
        with self._database.transaction():
            for member in ready:
                self._database.advance(member.entry, new[member.view.name].entry)
                self._database.expose(member.view, member.entry)
            for entry in self._database.entries():
                if entry.view in new and entry.key not in keep:
                    self._database.drop(self._views[entry.view], entry)
        self._members = [m for m in self._members if m.view.name not in new] + list(new.values())

    def _readable(self, name: str) -> Entry | None:
        return next((m.entry for m in self._members if m.view.name == name and m.entry.readable), None)

    def _reached(self, position: int, names: frozenset[str]) -> bool:
        entries = [self._readable(name) for name in names]
        return all(entry is not None and entry.position >= position for entry in entries)


def _rank(group: Sequence[Member]) -> tuple[bool, int]:
    return any(m.entry.readable for m in group), group[0].entry.position
