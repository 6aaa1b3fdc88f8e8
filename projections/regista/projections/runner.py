"""The projector: folds the log into the views for as long as it is the one, and stands by while another is.

One that stands by knows from the database how far the views are, as ``ViewsFollower`` does, and answers for them; what
is asked of it is asked of the one who projects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from regista.domain.errors import RegistaError, Unavailable
from regista.projections.answering import Answering
from regista.projections.desk import Desk, Watcher
from regista.projections.feed import Feed
from regista.projections.folding import BATCH, Folding
from regista.projections.generations import Generations
from regista.projections.leadership import BEAT, Condition, Leadership, Observed
from regista.projections.projection import ProjectorState
from regista.projections.rebuild import Comparison, readable_digests
from regista.projections.requests import Asker, Requests, left_behind, no_projector
from regista.projections.skips import Skip
from regista.projections.storage import Overtaken, ViewsStorage
from regista.projections.trouble import Trouble
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS
from regista.projections.waiting import Pause, Waiters

__all__ = ["BATCH", "Projector", "ProjectorState"]

T = TypeVar("T")
log = logging.getLogger(__name__)

POLL = 1.0
BACK_OFF = 1.0
CLAIM = 0.5
"""Seconds between two looks whether the place is free."""
PATIENCE = 3.0
"""Seconds that ``close`` waits for what the feed is asked."""
RESTS = 3.0
LONGEST_REST = 0.025
SMALL_BATCH = 500
"""Behind a batch smaller than this, and while nobody waits, the projector rests for ``RESTS`` times as long as the batch
took, ``LONGEST_REST`` seconds at most: a transaction for every few events would cost those who write in the same
process up to three times as much, and write the same pages again and again."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What a projector holds to know of others. ``watcher`` belongs to the loop, the rest to the thread."""

    desk: Desk
    watcher: Watcher
    observed: Observed
    leadership: Leadership


class Projector:
    """Implements ``Projection``. Belongs to one event loop; its database work runs in one thread.

    Several on one database are safe, in one process or in many: one makes progress at a time.
    """

    def __init__(self, feed: Feed, database: ViewsStorage, views: Sequence[View] = VIEWS) -> None:
        self._feed = feed
        self._database = database
        self._generations = Generations(database, views)
        self._views = self._generations.views
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projector")
        self._waiters = Waiters(self._have_reached)
        self._folding = Folding(feed, database, self._generations, self._blocking, self._moved)
        self._place: _Place | None = None
        self._leading = False
        self._beating: asyncio.Task[None] | None = None
        self._working: asyncio.Future[bool] | None = None
        self._said = Condition()
        self._trouble: Trouble | None = None
        self._resting = False
        self._closed = False
        self._pause = Pause()
        self._lock = asyncio.Lock()

    @property
    def is_leading(self) -> bool:
        """Whether this is the one that makes progress."""
        return self._leading

    async def run(self) -> None:
        """Project, or stand by, until ``close``. What goes wrong is reported by ``status`` and tried again."""
        while not self._pause.is_over:
            if not self._leading:
                if await self._attempt(self._claim) is None:
                    await self._pause.until(asyncio.sleep(BACK_OFF))
                elif not self._leading:
                    await self._stand_by()
                continue
            moved = await self._attempt(self._folding.step)
            lead = self._generations.lead()
            if moved is None or (moved is False and not lead):
                await self._pause.until(asyncio.sleep(BACK_OFF))
            elif moved is False:
                await self._pause.until(self._feed.wait(lead[0].entry.position, POLL))
            elif self._pacing():
                self._resting = True
                await self._pause.until(asyncio.sleep(min(RESTS * self._folding.took, LONGEST_REST)))
                self._resting = False

    async def close(self) -> None:
        """End ``run`` after the batch in hand, and the threads, and leave the place to another.

        A feed that does not answer is waited for no longer than ``PATIENCE`` seconds.
        """
        self._pause.end()
        await self._stop_beating()
        await self._stop_working()
        async with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waiters.dismiss()
            await self._blocking(_nothing)  # a batch that is being written is written
            self._folding.close()
            place, self._place = self._place, None
            if place is not None:
                place.watcher.close()
                with suppress(Exception):  # the place is free within seconds all the same
                    if self._leading:
                        await self._blocking(place.leadership.release)
                with suppress(Exception):
                    await self._blocking(place.desk.close)
            self._leading = False
        self._thread.shutdown()

    async def wait_for(self, position: int, timeout: float, views: Sequence[str] | None = None) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """As ``Projection.wait_for``."""
        names = frozenset(self._views if views is None else views)
        return await self._waiters.wait(position, names, timeout, self._hurry)

    def status(self) -> ProjectorState:
        """As ``Projection.status``."""
        said = self._condition() if self._leading or self._trouble else self._said
        head, states = self._generations.head(), self._generations.states()
        return ProjectorState(head, states, said.rebuilding, said.error, said.skips, said.hint)

    async def skip(self, position: int, reason: str, view: str | None = None, *, actor: str) -> tuple[Skip, ...]:
        """As ``Projection.skip``."""
        if not self._leading:
            body = {"position": position, "reason": reason, "view": view, "actor": actor}
            return tuple(Skip(**skip) for skip in await self._asker().ask("skip", body))
        async with self._lock:
            names = self._generations.to_skip(position, view)
            log_id, time = await self._feed.log_id(), datetime.now(UTC).isoformat().replace("+00:00", "Z")
            skips = tuple(Skip(log_id, n, self._views[n].version, position, reason, actor, time) for n in names)
            try:
                await self._blocking(lambda: self._database.skip(skips))
            except OSError as error:
                raise Unavailable(f"the skip cannot be recorded: {error}", code="skip_not_recorded") from error
            log.warning("%s passes over position %d from now on: %s", ", ".join(names), position, reason)
            await self._folding.reload()
        self._pause.wake()
        return skips

    async def rebuild(self, progress: Callable[[int, int], None] | None = None) -> list[Comparison]:
        """As ``Projection.rebuild``."""
        if not self._leading:
            return [Comparison(**compared) for compared in await self._asker().ask("rebuild", {}, progress)]
        async with self._lock:
            rebuild = await self._folding.begin(progress, self._pause.wake)
        self._pause.wake()
        return await rebuild.done

    async def digests(self) -> dict[str, str]:
        """As ``Projection.digests``."""
        return await asyncio.to_thread(readable_digests, self._database, self._views)

    async def _attempt(self, action: Callable[[], Awaitable[bool]]) -> bool | None:
        """Whether an action moved anything; None when it failed, and why is in ``status``."""
        try:
            async with self._lock:
                if self._pause.is_over:
                    return None
                self._working = asyncio.ensure_future(action())
                moved = await self._working
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._pause.is_over and task is not None and not task.cancelling():
                return None  # ``close`` waits no longer
            raise
        except Overtaken:
            self._folding.forget()
            await self._attempt_to_beat()
            return None
        except Exception as error:  # noqa: BLE001 - a defect too: whoever asks is told, what serves goes on serving
            self._fail(error)
            return None
        self._moved()
        return moved

    def _moved(self) -> None:
        """All is well: nobody sees views that have moved beside an error of before."""
        self._trouble = None
        self._waiters.settle()

    def _fail(self, error: Exception) -> None:
        trouble = Trouble.of(error)
        if self._trouble != trouble:
            is_a_defect = not isinstance(error, RegistaError)
            log.error("the projector stands still: %s", trouble.detail, exc_info=error if is_a_defect else None)
        self._trouble = trouble

    async def _claim(self) -> bool:
        """Become the one who projects, if the place is free; else see how far the views are."""
        place = self._place = self._place or await self._open()
        claimed = await self._blocking(lambda: place.leadership.claim(place.observed, self._condition()))
        self._generations.follow(await self._blocking(self._database.entries))
        if not claimed:
            leader = place.observed.leader
            self._said = leader.condition if leader is not None else Condition()
            return False
        self._folding.forget()
        self._leading = True
        self._beating = asyncio.create_task(self._beat())
        return True

    async def _open(self) -> _Place:
        desk = await self._blocking(self._database.desk)
        return _Place(desk, self._database.watch(), Observed(desk), Leadership(desk))

    async def _stand_by(self) -> None:
        if self._place is not None:
            await self._pause.until(self._place.watcher.changed(CLAIM, eager=bool(self._waiters)))

    async def _beat(self) -> None:
        """Show life and take up requests, until another has taken the place."""
        place = self._place
        if place is None:
            return
        requests = Requests(place.desk, place.leadership.id)
        answering = Answering(requests, self, self._blocking)
        try:
            while await self._attempt_to_beat():
                with suppress(Exception):  # told by the next step, which needs the same database
                    await answering.look()
                await asyncio.sleep(BEAT)
        finally:
            await answering.close()

    async def _attempt_to_beat(self) -> bool:
        """Whether this is still the one, as far as that can be told now."""
        place = self._place
        if place is None or not self._leading:
            return False
        try:
            mine = await self._blocking(lambda: place.leadership.beat(self._condition()))
        except Exception as error:  # noqa: BLE001 - the database is away; whoever can reach it takes over
            self._fail(error)
            return True
        if not mine and self._leading:
            log.warning("another projector has taken the place: standing by")
            self._leading = False
            self._folding.abandon(left_behind())
            self._pause.wake()
        return mine

    async def _stop_working(self) -> None:
        if self._working is not None and not self._working.done():
            await asyncio.wait([self._working], timeout=PATIENCE)
            self._working.cancel()

    async def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])

    def _condition(self) -> Condition:
        error, hint = (self._trouble.detail, self._trouble.hint) if self._trouble else (None, None)
        return Condition(error, self._folding.rebuilding, self._database.recorded_skips(), hint)

    def _asker(self) -> Asker:
        if self._place is None:
            raise no_projector()
        return Asker(self._place.desk, self._place.observed, self._blocking)

    def _have_reached(self, position: int, names: frozenset[str]) -> bool:
        if self._leading and not self._folding.is_of_this_log:
            return False
        return self._generations.have_reached(position, names)

    def _hurry(self) -> None:
        """Somebody waits: rest no longer, and look at once at what another has folded."""
        if self._resting or not self._leading:
            self._pause.wake()

    def _pacing(self) -> bool:
        return self._folding.moved_last < SMALL_BATCH and not self._waiters and not self._folding.is_asked_to_rebuild

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _nothing() -> None:
    """What a thread does last of all that it was given before."""
