"""When a delivery that failed is tried again: pure, ``now`` and chance come from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

SECONDS = 1.0
MINUTES = 60.0
HOURS = 3600.0
DELAYS = (
    5 * SECONDS,
    5 * MINUTES,
    30 * MINUTES,
    2 * HOURS,
    5 * HOURS,
    10 * HOURS,
    14 * HOURS,
    20 * HOURS,
    24 * HOURS,
)
"""As Standard Webhooks recommends: ten attempts in about three days."""
LONGEST_WISH = 24 * HOURS
"""Seconds; a receiver that asks to be left alone for longer is asked again then."""
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Schedule:
    """The seconds after each failed attempt; after as many failures and one more it is given up.

    Each delay is up to ``jitter`` of itself longer or shorter, so that what failed together is not repeated together.
    """

    delays: tuple[float, ...] = DELAYS
    jitter: float = JITTER

    def following(
        self, failures: int, now: datetime, chance: Callable[[], float], wish: float | None = None
    ) -> datetime | None:
        """When to try again after so many failures in a row (1 at least); None: it is given up.

        ``chance`` gives a number from 0 up to 1. ``wish``: the seconds of the answer's ``Retry-After``, which is kept
        where it is later than the schedule, for a day at most.
        """
        if failures > len(self.delays):
            return None
        delay = self.delays[failures - 1] * (1 + self.jitter * (2 * chance() - 1))
        return now + timedelta(seconds=max(delay, min(wish or 0.0, LONGEST_WISH)))
