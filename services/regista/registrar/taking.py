"""Taking commands in from a queue: decided in their order, appended as one with the queue's offset and what is told.

A queue has one taker at a time, and when it has two the store's offset decides. Every delivery is taken in exactly once:
done, refused, answered again, or, where deciding fails for a reason of its own, told as a defect. Only what may pass (a
store that cannot be reached or written) holds the queue up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeAlias
from uuid import uuid4

from regista.domain.errors import Internal, RegistaError, Unavailable
from regista.domain.identifiers import new_id
from regista.domain.times import Clock, utc_now
from regista.registrar.answers import Outcome
from regista.registrar.attempt import Attempt, Stale
from regista.registrar.orders import NAMES, check_not_expired, request_of
from regista.registrar.service import ATTEMPTS, Registrar
from regista.store.append import Append, CommandKey, Duplicate, Intake, Outgoing, Taken
from regista.wire.orders import Order

logger = logging.getLogger(__name__)
Observe: TypeAlias = Callable[[str, str, float], None]
"""Called with the operation's name, ``done``, ``replayed`` or an error's code, and the seconds it took."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record of a queue: the order that it holds, or why it holds none; ``mark``: what the record is known by."""

    offset: int
    order: Order | RegistaError
    mark: bytes | None = None


Verdict: TypeAlias = Outcome | Exception
"""An answer, a refusal, or, when it is neither, what went wrong inside: see ``is_defect``."""
Tell: TypeAlias = Callable[[Delivery, Verdict], tuple[Outgoing, ...]]
"""What is told of a delivery. The position of an answer is known only in the append: it is 0 or an earlier one here."""


def is_defect(verdict: Verdict) -> bool:
    """Whether deciding failed for a reason that is not the sender's."""
    return isinstance(verdict, Exception) and (not isinstance(verdict, RegistaError) or isinstance(verdict, Internal))


@dataclass(slots=True)
class _Ready:
    """A delivery that can be decided, or whose verdict is known: then ``attempt`` is None."""

    delivery: Delivery
    verdict: Verdict | None = None
    attempt: Attempt | None = None
    key: CommandKey | None = None
    dry_run: bool = False


@dataclass(slots=True)
class _Company:
    """Deliveries that are appended together."""

    registrar: Registrar
    source: str
    before: Taken
    members: Sequence[_Ready]
    tell: Tell
    verdicts: list[Verdict] = field(default_factory=list)
    done: list[Attempt] = field(default_factory=list)

    def decide(self) -> list[Append]:
        """The appends of the first members: all up to one that has to be looked at again after these.

        Raises:
            Stale, Unavailable: the first cannot be decided now.
        """
        self.verdicts, self.done = [], []
        appends: list[Append] = []
        keys: set[tuple[str, str]] = set()
        before = self.before
        for member in self.members:
            if member.key is not None and member.key.scoped in keys:
                break  # its twin is not in the log yet
            after, mark = member.delivery.offset + 1, member.delivery.mark
            intake = Intake(self.source, before.offset, after, mark, before.mark or b"")
            try:
                append, verdict = self._one(member, intake)
            except (Stale, Unavailable):
                if appends:
                    break
                raise
            appends.append(append)
            self.verdicts.append(verdict)
            before = intake.leaves
            if member.key is not None:
                keys.add(member.key.scoped)
        return appends

    def _one(self, member: _Ready, intake: Intake) -> tuple[Append, Verdict]:
        attempt = member.attempt
        if attempt is None:
            assert member.verdict is not None, "what is not attempted has a verdict"
            return self._told(member, member.verdict, intake, {})
        try:
            append = attempt.prepare()
            outcome = attempt.plan() if append is None else attempt.outcome(0)
            outcomes = self.tell(member.delivery, outcome)
        except (Stale, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the queue must go on behind it
            if is_defect(error):
                self.registrar.distrust(attempt)
                return self._told(member, error, intake, {})
            return self._told(member, error, intake, attempt.reads)
        if append is None:
            return Append((), None, attempt.reads, intake, outcomes), outcome
        self.done.append(attempt)
        return replace(append, intake=intake, outcomes=outcomes), outcome

    def _told(self, member: _Ready, verdict: Verdict, intake: Intake, reads: dict[str, int]) -> tuple[Append, Verdict]:
        try:
            outcomes = self.tell(member.delivery, verdict)
        except Exception:  # the queue must go on all the same
            logger.exception("what became of a command cannot be told, offset %d of %s", intake.after - 1, self.source)
            outcomes = ()
        return Append((), None, reads, intake, outcomes), verdict


class Taker:
    """Takes deliveries in for a registrar."""

    def __init__(
        self,
        registrar: Registrar,
        *,
        observe: Observe = lambda _type, _outcome, _seconds: None,
        clock: Clock = utc_now,
    ) -> None:
        self._registrar = registrar
        self._observe = observe
        self._clock = clock

    async def take(self, source: str, before: Taken, deliveries: Sequence[Delivery], tell: Tell) -> int:
        """Take in the first of the deliveries, which follow ``before`` in a queue: how many, at least one.

        When it returns, what they led to, what is told of them and the queue's new offset are durable, all of it.

        Raises:
            IntakeMoved: somebody else took from the queue: go on from where the store has it.
            Unavailable, Damaged: the log or the artifact store cannot be used now. Whether anything was taken in is
                told by the store's offset.
        """
        started = perf_counter()
        for _ in range(ATTEMPTS):
            members = await self._ready(deliveries)
            company = _Company(self._registrar, source, before, members, tell)
            keys = [member.key for member in members if member.key is not None]
            try:
                await self._registrar.append_all(company.decide, keys)
            except (Stale, Duplicate):
                continue
            await self._registrar.forget(company.done)
            self._count(members, company.verdicts, perf_counter() - started)
            return len(company.verdicts)
        raise Unavailable("The states of the models left memory again and again.", code="overloaded")

    async def begin_anew(self, source: str, before: Taken, begin: int) -> Taken:
        """Take a queue that was made anew as taken in up to ``begin``, durably: its offsets count from there again.

        The mark that it has until something is taken in is that of no record and of no other beginning: who still has
        the earlier queue at the same offset is not where the store is.

        Raises:
            IntakeMoved, Unavailable, Damaged: as ``take``.
        """
        intake = Intake(source, before.offset, begin, uuid4().bytes, before.mark or b"")
        await self._registrar.append_all(lambda: [Append((), None, {}, intake)], ())
        return intake.leaves

    async def _ready(self, deliveries: Sequence[Delivery]) -> list[_Ready]:
        """What deciding needs, for the first of the deliveries: all up to one that cannot be made ready now."""
        looks = [asyncio.ensure_future(self._look(delivery)) for delivery in deliveries]
        try:
            await asyncio.wait(looks)
        finally:
            for look in looks:
                look.cancel()
        # Every failure is looked at: asyncio complains about one that never was.
        failed = [at for at, look in enumerate(looks) if look.exception() is not None]
        usable = failed[0] if failed else len(looks)
        return [look.result() for look in looks[: max(usable, 1)]]

    async def _look(self, delivery: Delivery) -> _Ready:
        """Make ready.

        Raises:
            Unavailable: it cannot be now.
        """
        if isinstance(delivery.order, RegistaError):
            return _Ready(delivery, delivery.order)
        try:
            return await self._attempt(delivery, delivery.order)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the queue must go on behind it
            return _Ready(delivery, error)

    async def _attempt(self, delivery: Delivery, order: Order) -> _Ready:
        request = request_of(order)
        seal = request.seal()
        command_id = new_id() if request.dry_run else order.command_id  # what is not done takes no key
        key = CommandKey(request.caller.actor, command_id, seal.digest)
        if not request.dry_run and (found := await self._registrar.done(key)):
            return _Ready(delivery, await self._registrar.replay(found, key))
        check_not_expired(order, self._clock)
        attempt = self._registrar.attempt(request, key, seal)
        await self._registrar.ready(attempt)
        return _Ready(delivery, None, attempt, key, request.dry_run)

    def _count(self, members: Sequence[_Ready], verdicts: Sequence[Verdict], seconds: float) -> None:
        for member, verdict in zip(members, verdicts, strict=False):
            order = member.delivery.order
            name = NAMES.get(order.type, UNKNOWN) if isinstance(order, Order) else UNKNOWN
            self._observe(name, _code(verdict), seconds)
            if isinstance(verdict, Exception) and is_defect(verdict):
                logger.error("a command could not be decided, offset %d", member.delivery.offset, exc_info=verdict)


def _code(verdict: Verdict) -> str:
    if isinstance(verdict, Outcome):
        return "replayed" if verdict.answer.get("replayed") else "done"
    return verdict.code if isinstance(verdict, RegistaError) else Internal.default_code
