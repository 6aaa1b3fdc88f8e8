"""Folding the log into generations of views, one batch and one transaction at a time.

Generations of views that have come equally far move together in one group, so that each event is read and decoded
once for all of them. The leading group holds the live views. One that is being built runs behind it, from zero, in
smaller steps between those of the live ones; when it has come as far, it moves along with them, and takes over in one
transaction. A view that cannot apply an event stands still, ``degraded``, and goes on answering.

Views that know more than the log, or another one (it was healed, or restored), are no fold of it: they go on
answering, ``degraded``, while their successors are built from the first event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from regista.domain.chain import Row
from regista.domain.errors import Damaged, Refused, Unavailable
from regista.domain.events import LogHealed
from regista.projections.continuity import Continuity
from regista.projections.feed import START, Feed, Mark, is_missing
from regista.projections.generations import Generations
from regista.projections.member import Member, apply, stands_before
from regista.projections.rebuild import Blocking, Rebuild
from regista.projections.storage import ViewsStorage

log = logging.getLogger(__name__)

BATCH = 10_000
BATCH_BESIDE_LIVE = 2_000
"""Of a view that is built while others serve: short, so that these stay fresh."""
SETTLED = 5.0
"""Seconds that a log must not grow before views that are ahead of it believe it: a relay may still be filling it."""


class Folding:
    """Moves the generations of one projector along its feed. Belongs to one event loop, one call at a time."""

    def __init__(
        self,
        feed: Feed,
        database: ViewsStorage,
        generations: Generations,
        blocking: Blocking,
        settle: Callable[[], None],
    ) -> None:
        """``settle`` is called whenever views have moved.

        ``is_of_this_log`` becomes true once the views are those of the feed's log, as far as anybody can tell.
        """
        self._feed = feed
        self._database = database
        self._generations = generations
        self._blocking = blocking
        self._settle = settle
        self._continuity = Continuity(database)
        self._rebuild: Rebuild | None = None
        self._loaded = False
        self.is_of_this_log = False
        self._caught_up = False
        self._short: tuple[int, float] | None = None
        self._not_healed: tuple[int, int] | None = None
        self.moved_last = 0
        self.took = 0.0

    @property
    def rebuilding(self) -> bool:
        """Whether views are built beside those that serve."""
        return self._rebuild is not None or self._generations.is_rebuilding()

    @property
    def is_asked_to_rebuild(self) -> bool:
        """Whether somebody waits for a rebuild."""
        return self._rebuild is not None

    def close(self) -> None:
        """Whoever waits for a rebuild is answered that it was cancelled."""
        self.abandon(asyncio.CancelledError())
        self._continuity.close()

    def forget(self) -> None:
        """Take the generations from the database again before the next step."""
        self._loaded = False

    def abandon(self, error: BaseException) -> None:
        """Answer whoever waits for a rebuild; what was built is left to whoever projects next."""
        self.forget()
        if self._rebuild is not None:
            self._rebuild.fail(error)
            self._rebuild = None

    async def begin(self, progress: Callable[[int, int], None] | None, wake: Callable[[], None]) -> Rebuild:
        """Build every view anew, beside the live ones. ``wake`` is called when ``step`` has more to do.

        Raises:
            Refused: ``rebuild_under_way``.
        """
        if self._rebuild is not None or self._generations.building():
            raise Refused(
                "views are being built already",
                code="rebuild_under_way",
                hint="GET /v1/status shows how far each is; ask again when it is done.",
            )
        await self._blocking(self._generations.add)
        self._rebuild = rebuild = Rebuild(asyncio.get_running_loop().create_future(), progress, wake)
        return rebuild

    async def reload(self) -> None:
        """Take the generations from the database: what made a view stand still may be gone."""
        await self._blocking(self._generations.load)

    async def step(self) -> bool:
        """One batch for every group, the leading one first. Whether anything moved.

        Raises:
            Overtaken: another projector moved the offsets.
            Damaged: ``log_diverged``: the log has another event where the views have one.
            Unavailable: the log cannot be read now.
        """
        if not self._loaded:
            await self._start()
            return True
        moved = False
        for group in self._generations.groups():
            moved = await self._advance(group) or moved
        await self._take_over()
        return moved

    async def _start(self) -> None:
        try:
            log_id = await self._feed.log_id()
        except Unavailable:
            # Nothing says that the views are of another log: they answer as before.
            self.is_of_this_log = True
            raise
        if await self._blocking(self._database.log_id) != log_id:
            await self._blocking(lambda: self._database.clear(log_id))
        await self._blocking(self._generations.load)
        self._loaded = self.is_of_this_log = True

    async def _advance(self, group: Sequence[Member]) -> bool:
        lead = self._generations.lead()
        leading = bool(lead) and group[0].entry.progress == lead[0].entry.progress
        goal = lead[0].entry.position if lead else 0
        limit = BATCH if leading or not any(m.entry.readable for m in lead) else BATCH_BESIDE_LIVE
        try:
            rows = (await self._feed.read(group[0].entry.progress.mark, limit)).rows
        except Damaged as error:
            if error.code != "log_diverged":
                raise
            return await self._diverged(group, error)
        if leading:
            self._caught_up = not rows
            self._short = None
        else:
            rows = [row for row in rows if row.position <= goal]
        if not rows:
            return False
        await self._apply(group, rows)
        if not leading and self._rebuild is not None:
            self._rebuild.report(rows[-1].position, goal)
        return True

    async def _apply(self, group: Sequence[Member], rows: Sequence[Row]) -> None:
        self.moved_last, started = len(rows), asyncio.get_running_loop().time()
        self._generations.moved(await self._blocking(lambda: self._fold(group, rows)))
        self.took = asyncio.get_running_loop().time() - started
        self._settle()

    def _fold(self, group: Sequence[Member], rows: Sequence[Row]) -> Sequence[Member]:
        rows = self._continuity.whole(group, rows)
        moved = apply(self._database, group, rows)
        self._continuity.moved(group[0].entry.position, rows)
        return moved

    async def _diverged(self, group: Sequence[Member], error: Damaged) -> bool:
        """Begin anew with views that are no fold of the log, where that is certain; else raise the error."""
        if await self._feed.log_id() != await self._blocking(self._database.log_id):
            self.forget()
            return True
        if self._rebuild is None and not await self._is_certain(error, group[0].entry.position):
            raise error
        log.warning("%s The views are built anew from the first event.", error.detail)
        await self._blocking(lambda: self._generations.set_aside(group, error.detail))
        self._short = None
        return True

    async def _is_certain(self, error: Damaged, position: int) -> bool:
        """Whether the log will not have again what the views remember at a position."""
        if is_missing(error) and await self._stays_short(position):
            return True
        return await self._was_healed(position)

    async def _was_healed(self, position: int) -> bool:
        """Whether the log says that it was made equal to its other copy, behind a position: what was folded was a fork.

        Looks through all of the log, as what is built then does, and once as long as it does not grow.
        """
        if self._not_healed == (looked_at := (position, await self._feed.newest())):
            return False
        mark = START
        while rows := (await self._feed.read(mark, BATCH)).rows:
            if any(row.type == LogHealed.TYPE and row.position > position for row in rows):
                return True
            mark = Mark.of(rows[-1])
        self._not_healed = looked_at
        return False

    async def _stays_short(self, position: int) -> bool:
        """Whether an event that the log does not have will not come: it goes on behind it, or no longer grows."""
        end, now = await self._feed.newest(), asyncio.get_running_loop().time()
        if end > position:
            return True
        if self._short is None or self._short[0] != end:
            self._short = (end, now)
        return now - self._short[1] >= SETTLED

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
        self._settle()
        if self._rebuild is not None:
            self._rebuild.finish()
            self._rebuild = None

    async def _compared(self, rebuild: Rebuild, building: Sequence[Member]) -> bool:
        """Whether the digests of old and new are known; a rebuild that cannot be compared is given up."""
        try:
            return await rebuild.compared(self._database, self._generations.views, self._blocking)
        except Exception as error:
            log.exception("what was rebuilt cannot be compared with what it replaces")
            why = f"the rebuilt views cannot be compared: {type(error).__name__}: {error}"
            await self._give_up(rebuild, building, why, "Try again.")
            return False

    async def _give_up(self, rebuild: Rebuild, building: Sequence[Member], why: str, hint: str) -> None:
        await self._blocking(lambda: self._generations.drop(building))
        rebuild.fail(Damaged(why, code="rebuild_failed", hint=f"The live views stay as they are. {hint}"))
        self._rebuild = None
