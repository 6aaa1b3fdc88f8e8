"""How long a process acts on what the work database told it last: that it is the one that works.

Whoever takes its place leaves calls that may be under way more time than that. So each of them has ended by then, but
for one that is frozen between its last look at the time and the system's send.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

# What goes on while the machine sleeps, where there is such a clock.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Moment:
    """By a clock that is never set, and by that of the wall: a machine that is stopped may stop either."""

    running: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        """This one."""
        return cls(time.clock_gettime(_CLOCK), time.time())

    def until(self, later: Moment) -> float:
        """Seconds, by the clock that says more."""
        return max(later.running - self.running, later.wall - self.wall)


class Lease:
    """Lasts for ``seconds`` from each question that was answered with yes. Belongs to one event loop."""

    def __init__(self, seconds: float, over: Callable[[], None], now: Callable[[], Moment] = Moment.now) -> None:
        """``over`` is called when it ends without a newer answer, before anything that waited goes on behind a freeze."""
        self._seconds = seconds
        self._over = over
        self._now = now
        self._asked: Moment | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def holds(self) -> bool:
        """Whether it lasts at this moment."""
        return self._left() > 0

    def asks(self) -> Moment:
        """When the question is asked, for ``confirm``."""
        return self._now()

    def confirm(self, asked: Moment) -> None:
        """The answer to what was asked then is yes."""
        self._asked = asked
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(max(self._left(), 0.0), self._look)

    def end(self) -> None:
        """It is over: the answer is no, or nothing rests on it any more."""
        self._asked = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._over()

    def _left(self) -> float:
        return 0.0 if self._asked is None else self._seconds - self._asked.until(self._now())

    def _look(self) -> None:
        self._timer = None
        if (left := self._left()) > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._look)
        else:
            self._over()
