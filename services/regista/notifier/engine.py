"""The engine: sends what is due, records what became of it, and says when the next is due.

A loop of turns (``step``): each records all attempts that ended since the one before and claims what may begin, in one
transaction, so that a busy engine commits seldom and an idle one at once. What was claimed is sent in tasks of their own.
A process that ends in between leaves deliveries that were being sent; the next sends them again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from regista.domain.errors import RegistaError
from regista.domain.times import Clock, micros, utc_now
from regista.notifier import queue
from regista.notifier.queue import Claim, Outcome
from regista.notifier.redaction import without_secrets
from regista.notifier.room import Bounds, Room
from regista.notifier.schedule import Schedule
from regista.notifier.sender import GONE, Reply, Sender
from regista.notifier.signing import signed
from regista.notifier.step import Step, step
from regista.notifier.subscriptions import Subscription
from regista.notifier.templates import body_of
from regista.within import set_within

T = TypeVar("T")
_POLL = 1.0
"""Seconds after which everything is looked at anew: another process may have asked for a delivery."""
_AGAIN = 1.0
_SOON = 0.05
_GRACE = 5.0
_ERASED = "its address or its secret was erased: give it anew (PATCH its url, or rotate), and deliver again"
logger = logging.getLogger("regista.notifier")


class Database(Protocol):
    """The work database."""

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Run it in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What the engine works with. ``secret`` gives what the private table holds under an id, None: it is erased; ``chance`` as ``random``."""

    sender: Sender
    secret: Callable[[str], Awaitable[str | None]]
    schedule: Schedule = field(default_factory=Schedule)
    bounds: Bounds = field(default_factory=Bounds)
    clock: Clock = utc_now
    chance: Callable[[], float] = random.random
    ended: Callable[[Outcome], None] = lambda _outcome: None


class Engine:
    """Sends the deliveries of the work database, while this process is the one that may. Belongs to one event loop.

    ``check`` is called in every transaction and raises ``Overtaken`` where another process may; ``ready``: whether what
    the log says of subscriptions is known as far as the log went when this process began to work.
    """

    def __init__(
        self,
        database: Database,
        means: Means,
        *,
        check: Callable[[Connection], None],
        ready: Callable[[], bool],
        poll: float = _POLL,
        grace: float = _GRACE,
    ) -> None:
        self._database = database
        self._means = means
        self._check = check
        self._ready = ready
        self._poll = poll
        self._grace = grace
        self._room = Room(means.bounds)
        self._sending: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._in_hand: set[tuple[str, int]] = set()
        self._looks: set[str] | None = None
        self._due: dict[str, int] = {}
        self._starved: set[str] = set()
        self._woken = asyncio.Event()
        self._resumed = False
        self._closing = False

    @property
    def under_way(self) -> int:
        """How many deliveries are being sent."""
        return self._room.under_way

    def wake(self, subscriptions: Collection[str] | None = None) -> None:
        """There may be something to send for these, None: for any."""
        if subscriptions is None:
            self._looks = None
        elif self._looks is not None:
            self._looks.update(subscriptions)
        self._woken.set()

    async def run(self) -> None:
        """Send until ``close``; then what is under way may end, for a moment."""
        everything_at = 0.0
        while not self._closing:
            if perf_counter() >= everything_at:
                self._looks = None
                everything_at = perf_counter() + self._poll
            self._woken.clear()
            patience = _SOON
            if self._ready():
                patience = self._patience() if await self._turn() else _AGAIN
            await set_within(self._woken, patience)
        await self._finish()

    def close(self) -> None:
        """Begin nothing more."""
        self._closing = True
        self._woken.set()

    async def _turn(self) -> bool:
        """Whether the database took it; where not, what ended is kept for the next turn."""
        now = self._means.clock()
        outcomes, self._outcomes = self._outcomes, []
        looks, self._looks = self._looks, set()
        if looks is not None:
            looks |= {outcome.claim.subscription for outcome in outcomes}
            looks |= {id_ for id_, due in self._due.items() if due <= micros(now)}
            looks |= self._starved if outcomes else set()
            if not looks:
                return True
        try:
            made = await self._database.run(partial(self._step, outcomes, looks, frozenset(self._in_hand), now))
        except Exception as error:
            self._outcomes = outcomes + self._outcomes
            self._looks = None
            self._resumed = False  # others may have sent meanwhile; or what was claimed is, and nobody here knows of it
            if isinstance(error, RegistaError):
                logger.warning("deliveries stand still: %s", error.detail)
            else:
                logger.exception("deliveries stand still")
            return False
        self._resumed = True
        self._in_hand -= {outcome.claim.key for outcome in outcomes}
        self._remember(made, everything=looks is None)
        for claim, subscription in made.claims:
            self._room.enter(subscription.id)
            self._in_hand.add(claim.key)
            task = asyncio.create_task(self._send(claim, subscription))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return True

    def _step(
        self,
        outcomes: Sequence[Outcome],
        looks: Collection[str] | None,
        in_hand: Collection[tuple[str, int]],
        now: datetime,
        connection: Connection,
    ) -> Step:
        self._check(connection)
        queue.lock(connection)
        if not self._resumed:
            queue.resume(connection, in_hand)
        return step(connection, outcomes, looks, self._room.copy(), now)

    def _remember(self, made: Step, *, everything: bool) -> None:
        if everything:
            self._due.clear()
            self._starved.clear()
        for id_, due in made.due.items():
            self._starved.discard(id_)
            if due is None:
                self._due.pop(id_, None)
            else:
                self._due[id_] = due
        self._starved |= made.starved

    def _patience(self) -> float:
        """Seconds until something is due, at most until everything is looked at."""
        if not self._due:
            return self._poll
        ahead = (min(self._due.values()) - micros(self._means.clock())) / 1_000_000
        return min(max(ahead, 0.0), self._poll)

    async def _send(self, claim: Claim, subscription: Subscription) -> None:
        started, begun = self._means.clock(), perf_counter()
        try:
            reply = await self._attempt(claim, subscription)
        except Exception as error:
            logger.exception("%s could not be sent", claim.message_id)
            reply = Reply(None, perf_counter() - begun, f"{type(error).__name__} in the notifier: see its log")
        finally:
            self._room.leave(subscription.id)
        now = self._means.clock()
        gone = reply.status == GONE
        retry_at = None
        if not reply.taken and not gone:
            retry_at = self._means.schedule.following(claim.failures + 1, now, self._means.chance, reply.retry_after)
        outcome = Outcome(
            claim=claim,
            started_at=started,
            duration=reply.duration,
            finished_at=now,
            taken=reply.taken,
            status=reply.status,
            error=reply.error,
            excerpt=reply.excerpt,
            retry_at=retry_at,
            gone=gone,
        )
        self._outcomes.append(outcome)
        self._means.ended(outcome)
        self._woken.set()

    async def _attempt(self, claim: Claim, subscription: Subscription) -> Reply:
        now = self._means.clock()
        url = await self._means.secret(subscription.address)
        found = [await self._means.secret(secret.id) for secret in subscription.secrets if secret.holds(now)]
        keys = [key for key in found if key is not None]
        if url is None or not keys:
            return Reply(None, 0.0, _ERASED)
        body = body_of(subscription.template, claim.body)
        headers = {"Content-Type": body.media_type, **signed(claim.message_id, now, body.content, keys)}
        reply = await self._means.sender.post(url, headers, body.content)
        return without_secrets(reply, url, keys)

    async def _finish(self) -> None:
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            with suppress(RegistaError):
                await self._database.run(partial(self._step, outcomes, (), self._in_hand, self._means.clock()))
