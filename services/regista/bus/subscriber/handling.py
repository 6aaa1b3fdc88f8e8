"""Giving an event to a handler until it takes it: tried again, then parked or raised, never skipped."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from regista.bus.subscriber.logged import LoggedEvent
from regista.bus.subscriber.parking import Park, Parked
from regista.domain.errors import Invalid

Handler: TypeAlias = Callable[[LoggedEvent], Awaitable[None] | None]
"""Takes one event. A plain function runs on the event loop: let it be short."""
logger = logging.getLogger("regista.subscriber")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often an event is tried, and the seconds between: doubling from ``first`` to ``highest``, with full jitter.

    ``jitter`` draws from 0 to its argument.
    """

    attempts: int = 5
    first: float = 0.2
    highest: float = 30.0
    jitter: Callable[[float], float] = field(default=lambda ceiling: random.uniform(0, ceiling))  # noqa: S311 - jitter

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first < 0 or self.highest < 0:
            raise Invalid("an event is tried once at least, and no pause is below 0", code="bad_settings")

    def pause(self, attempt: int) -> float:
        """Seconds between an attempt, counted from 1, and the next."""
        return self.jitter(min(self.highest, self.first * 2 ** min(attempt - 1, 60)))


async def handle(handler: Handler, event: LoggedEvent, retries: Retries, park: Park | None) -> None:
    """Have an event handled, or parked where there is a place for it.

    Raises:
        Exception: what the handler raised last, without such a place, or what parking raised.
    """
    attempt = 1
    while True:
        try:
            waiting = handler(event)
            if inspect.isawaitable(waiting):
                await waiting
        except Exception as error:
            if attempt < retries.attempts:
                pause = retries.pause(attempt)
                logger.warning(
                    "event %d (%s of %s) was not handled at attempt %d of %d, again in %.1f s: %r",
                    event.position, event.type, event.stream, attempt, retries.attempts, pause, error,
                )  # fmt: skip
                await asyncio.sleep(pause)
                attempt += 1
                continue
            error.add_note(_note(event, attempt))
            if park is None:
                raise
            logger.exception("event %d (%s of %s) is parked", event.position, event.type, event.stream)
            await park(Parked(event, error, attempt))
        return


def _note(event: LoggedEvent, attempts: int) -> str:
    return (
        f"It was event {event.position} ({event.type} of {event.stream}), at attempt {attempts}; the stored position "
        "stays before it."
    )
