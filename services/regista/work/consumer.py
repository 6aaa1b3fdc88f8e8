"""Follows a log with effects: from the store or from Kafka, alone of its name, as long as it is told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal, TypeAlias

from regista.domain.errors import Damaged, RegistaError, Unavailable
from regista.projections.feed import Feed, is_missing
from regista.projections.waiting import Pause
from regista.within import set_within
from regista.work.database import Work
from regista.work.taking import Effects, Overtaken, Taking

__all__ = ["Consumer", "ConsumerStatus", "Effects", "End", "Overtaken", "Taking"]

End: TypeAlias = Callable[[str], Awaitable[int]]
"""From a log's id to a position."""
State: TypeAlias = Literal["standing by", "catching up", "following", "waiting", "stopped"]
POLL: Final = 1.0
TELL_EVERY: Final = 0.25
"""Seconds between two writes of how far events were passed over which concern nobody."""
REST: Final = 0.02
"""Seconds before the next read behind a few events that concern nobody: under load they come one by one."""
BACK_OFF: Final = 0.5
LONGEST_BACK_OFF: Final = 15.0
BATCH: Final = 500
_LOOK_EVERY: Final = 0.05
logger = logging.getLogger("regista.work")


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """How a consumer stands. ``error`` with ``code`` and ``hint`` is what it waits for to pass."""

    state: State
    position: int
    effects_from: int
    log_id: str
    code: str | None = None
    error: str | None = None
    hint: str | None = None


class Consumer:
    """Drives ``Taking`` from a feed. Belongs to one event loop; of one name, one works while others stand by.

    ``start`` is an explicit ``--from``. ``end`` says how far a log had come when this one began to follow it, where the
    feed itself may lag behind the log.
    """

    def __init__(
        self, work: Work, effects: Effects, feed: Feed, *, start: int | None = None, end: End | None = None
    ) -> None:
        self.taking = Taking(work, effects)
        self._feed = feed
        self._start = start
        self._end = end
        self._leadership = work.leadership(effects.name)
        self._pause = Pause()
        self._state: State = "standing by"
        self._log_id = ""
        self._trouble: Exception | None = None
        self._failures = 0
        self._told_at = monotonic()
        self._runs = False
        self.claimed = asyncio.Event()
        """Set once it has worked at all: from where on events have effects is known then."""

    @property
    def is_leading(self) -> bool:
        """Whether this is the one that works, as far as it knows."""
        return self.taking.is_claimed

    async def run(self) -> None:
        """Follow until ``close``. What goes wrong is in ``status``, and is tried again."""
        self._runs = True
        try:
            while not self._pause.is_over:
                behind = self.taking.mark.position
                moved = await self._attempt(TELL_EVERY)
                if moved is False:
                    longest = TELL_EVERY if self.taking.is_ahead else POLL
                    await self._pause.until(self._feed.wait(self.taking.mark.position, longest))
                elif moved and self.taking.is_ahead and self.taking.mark.position - behind < BATCH:
                    await self._pause.until(asyncio.sleep(REST))
        finally:
            self._runs = False
            await self._leave()

    async def catch_up(self) -> None:
        """Return when all that the feed has was taken, or after ``close``. Others stand by until ``close``.

        Raises:
            asyncio.CancelledError: nothing is held then.
        """
        try:
            while not self._pause.is_over and await self._attempt(0.0) is not False:
                pass
        except BaseException:
            await self._leave()
            raise
        if self._pause.is_over:
            await self._leave()

    async def begun(self, log_id: str) -> None:
        """Return when it is known from where on events of a log have effects.

        This one works then, or another one does or did: what is written from now on is taken.
        """
        while not self.claimed.is_set():
            with suppress(Unavailable):  # the claim needs the same database
                if await self.taking.knows(log_id):
                    return
            await set_within(self.claimed, _LOOK_EVERY)

    async def close(self) -> None:
        """End ``run`` after the batch in hand; after ``catch_up`` let another one work."""
        self._pause.end()
        if self._state == "following" and not self._runs:  # what runs leaves by itself, behind the batch in hand
            await self._leave()

    def status(self) -> ConsumerStatus:
        """How it stands."""
        code, error, hint = _told(self._trouble)
        return ConsumerStatus(
            self._state if self._trouble is None else "waiting",
            self.taking.mark.position,
            self.taking.effects_from,
            self._log_id,
            code,
            error,
            hint,
        )

    async def _attempt(self, tell_every: float) -> bool | None:
        """Whether there was something to take; None when it went wrong, or when it is over."""
        try:
            if not self.taking.is_claimed:
                await self._claim()
            moved = None if self._pause.is_over else await self._step(tell_every)
        except Exception as error:  # noqa: BLE001 - a defect too: whoever asks is told, and it is tried again
            await self._fail(error)
            return None
        self._trouble, self._failures = None, 0
        if moved is False:
            self._state = "following"
        return moved

    async def _claim(self) -> None:
        """Wait for the place, and take it; a lock that was lost is waited for again."""
        self._state = "standing by"
        await self._pause.until(self._leadership.acquire())
        if self._pause.is_over:
            return
        self._state = "catching up"
        self._log_id = await self._feed.log_id()
        if self._end is None or await self.taking.knows(self._log_id):
            newest = await self._feed.newest()
        else:
            newest = await self._end(self._log_id)
        await self.taking.claim(self._log_id, newest, self._start)
        self.claimed.set()

    async def _step(self, tell_every: float) -> bool:
        """Whether there was something to take."""
        try:
            batch = await self._feed.read(self.taking.mark, BATCH)
        except Damaged as error:
            if error.code != "log_diverged" or not await self._is_replaced(error):
                raise
            await self.taking.begin_anew(self._log_id, await self._feed.newest(), "diverged")
            return True
        try:
            if batch.rows and not self.taking.pass_over(batch.rows):
                await self.taking.take(batch.rows)
                self._told_at = monotonic()
            elif self.taking.is_ahead and monotonic() - self._told_at >= tell_every:
                await self.taking.store_mark()
                self._told_at = monotonic()
        except (Overtaken, Unavailable):
            self.taking.release()  # whether a commit came through is known only to the database
            raise
        return bool(batch.rows)

    async def _is_replaced(self, error: Damaged) -> bool:
        """Whether the remembered row is gone for good, and not only in a copy that lags behind."""
        if is_missing(error) and await self._feed.newest() < self.taking.mark.position:
            return False
        logger.warning("%s: %s The log is known anew; effects begin behind its end.", self.taking.name, error.detail)
        return True

    async def _leave(self) -> None:
        self.taking.release()
        await self._leadership.release()
        self._state = "stopped"

    async def _fail(self, error: Exception) -> None:
        if type(error) is not type(self._trouble) or str(error) != str(self._trouble):
            is_a_defect = not isinstance(error, RegistaError)
            logger.error("%s waits: %s", self.taking.name, error, exc_info=error if is_a_defect else None)
        self._trouble = error
        self._failures += 1
        await self._pause.until(asyncio.sleep(min(BACK_OFF * 2 ** (self._failures - 1), LONGEST_BACK_OFF)))


def _told(trouble: Exception | None) -> tuple[str | None, str | None, str | None]:
    if trouble is None:
        return None, None, None
    if isinstance(trouble, RegistaError):
        return trouble.code, trouble.detail, trouble.hint
    return "defect", repr(trouble), None
