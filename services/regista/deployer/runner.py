"""Carries out what was recorded: per endpoint and target one thing at a time and only the newest, all others beside it.

Nothing here is the truth: what is due, under way or done stands in the work database, and whatever ends this process
leaves there what the next one goes on with.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypeVar

from sqlalchemy import Connection

from regista.deployer import ledger
from regista.deployer.actions import Action, Key
from regista.deployer.concluding import Conclusion, conclude
from regista.deployer.known import definition
from regista.deployer.ledger import Counts
from regista.deployer.opening import OpenTargets
from regista.deployer.reactions import Intent, TargetDefinition
from regista.deployer.targets.base import Applied, TargetFailed, Wanted
from regista.domain.errors import Invalid, RegistaError, Unavailable
from regista.work.database import Work
from regista.work.taking import Overtaken, Taking
from regista.work.waking import Waking

AT_A_TARGET: Final = 16
_STANDING_BY: Final = 0.5
_IDLE: Final = 5.0
_COUNT_EVERY: Final = 0.25
_PRUNE_EVERY: Final = 3_600.0
logger = logging.getLogger("regista.deployer")
T = TypeVar("T")
_Found: TypeAlias = tuple[int, TargetDefinition] | None
"""What a target is, and the position of the event that said so; None: there is none."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of the first pause after a failure and the longest, of one attempt, and after which it is too late.

    ``grace``: how long a process that is to end waits for what is under way. ``kept``: how long what was finished is
    remembered.
    """

    first: float = 0.5
    longest: float = 60.0
    attempt: float = 120.0
    late: float = 60.0
    grace: float = 10.0
    kept: float = 90 * 86_400.0


class Runner:
    """Runs actions while its process is the one that works. Belongs to one event loop."""

    def __init__(
        self,
        work: Work,
        taking: Taking,
        targets: OpenTargets,
        *,
        pace: Pace | None = None,
        reported: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``reported`` is called when there is a report to be sent."""
        self._work = work
        self._taking = taking
        self._targets = targets
        self._pace = pace or Pace()
        self._reported = reported
        self._clock = clock
        self._waking = Waking()
        self._busy: dict[Key, tuple[Action, asyncio.Task[None]]] = {}
        self._turn = asyncio.Lock()
        self._concluded: list[Conclusion] = []
        self._epoch: str | None = None
        self._pruned = 0.0
        self._counted = 0.0
        self._moved = 0.0
        self.counts = Counts()
        self.trouble: RegistaError | None = None

    @property
    def busy(self) -> frozenset[Key]:
        """Endpoints and targets at which something is under way."""
        return frozenset(self._busy)

    def wake(self) -> None:
        """Something was recorded."""
        self._waking.wake()

    async def run(self) -> None:
        """Work until ``close``."""
        while not self._waking.is_over:
            async with self._turn:
                pause = await self._round()
            await self._waking.wait(pause)

    async def close(self) -> None:
        """End ``run``: nothing more is started."""
        self._waking.end()

    async def ended(self) -> None:
        """What was under way is finished, or left for the next process where that takes longer than ``grace``."""
        async with self._turn:  # what is being started is under way too
            under_way = [task for _, task in self._busy.values()]
        if under_way:
            await asyncio.wait(under_way, timeout=self._pace.grace)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        concluded, self._concluded = self._concluded, []
        if concluded:
            with suppress(Overtaken, Unavailable):  # the next process does them again
                await self._fenced(partial(conclude, conclusions=concluded))

    async def _round(self) -> float:
        """Write down what became of attempts and start what is due, in one transaction; seconds until there may be more."""
        if not self._taking.is_claimed:
            return _STANDING_BY
        concluded, self._concluded = self._concluded, []
        try:
            await self._recover()
            busy = frozenset(self._busy) - {conclusion.action.key for conclusion in concluded}
            started, due, late = await self._fenced(partial(self._look, busy=busy, concluded=concluded))
        except Overtaken:
            self._free(concluded)  # whoever works now finds them under way, and does them again
            return _STANDING_BY
        except Unavailable as error:
            self._concluded = concluded + self._concluded
            self._epoch = None  # what was started may be marked all the same
            self._complain(error)
            return self._pause(2)
        self.trouble = None
        self._free(concluded)
        self._tell(late)
        if late or concluded:
            self._reported()
        for action, found in started:
            self._busy[action.key] = action, asyncio.create_task(self._carry_out(action, found))
        idle = _IDLE if self._counted_all(started, concluded) else _COUNT_EVERY
        return idle if due is None else min(max(due - self._clock(), 0.01), idle)

    def _look(
        self, connection: Connection, busy: frozenset[Key], concluded: Sequence[Conclusion]
    ) -> tuple[list[tuple[Action, _Found]], float | None, list[Action]]:
        conclude(connection, concluded)
        now = self._clock()
        started = ledger.start(connection, now, busy, AT_A_TARGET)
        late = ledger.escalate(connection, now - self._pace.late)
        if now - self._pruned > _PRUNE_EVERY:
            ledger.prune(connection, now - self._pace.kept)
            self._pruned = now
        if now - self._counted > _COUNT_EVERY:
            self.counts = ledger.count(connection)
            self._counted = now
        due = ledger.next_due(connection, now)
        found = {target: definition(connection, target) for target in {action.key[1] for action in started}}
        return [(action, found[action.key[1]]) for action in started], due, late

    def _counted_all(self, started: Sequence[object], concluded: Sequence[object]) -> bool:
        """Whether ``counts`` are those of now: they are not counted in each of many rounds."""
        moved = bool(started or concluded)
        if moved:
            self._moved = self._clock()
        return self._counted > self._moved

    def _tell(self, late: Sequence[Action]) -> None:
        for action in late:
            logger.error(
                "%s/%s is not on %s yet, %.0f s after position %d",
                action.intent.environment, action.intent.endpoint, action.intent.target,
                self._clock() - action.created, action.intent.position,
            )  # fmt: skip

    async def _recover(self) -> None:
        """Once for each time that this process became the one that works, or does not know what it began."""
        epoch = self._taking.epoch
        if epoch == self._epoch:
            return
        mine = [action for action, _ in self._busy.values()]
        left = await self._fenced(lambda connection: ledger.recover(connection, mine))
        self._epoch = epoch
        if left:
            logger.warning("%d deployments were under way when the process before ended: tried again", left)

    def _free(self, concluded: Sequence[Conclusion]) -> None:
        for conclusion in concluded:
            self._busy.pop(conclusion.action.key, None)

    async def _carry_out(self, action: Action, found: _Found) -> None:
        """Give it to the target; what became of it is written down in the next round."""
        conclusion = await self._attempt(action, found)
        self._concluded.append(conclusion)  # to the list of now: rounds replace it
        self._waking.wake()

    async def _attempt(self, action: Action, found: _Found) -> Conclusion:
        """What became of one attempt."""
        try:
            async with asyncio.timeout(self._pace.attempt):
                applied = await self._apply(action, found)
        except TargetFailed as error:
            return self._failed(action, error)
        except Invalid as error:
            reasons = "; ".join(reason.detail for reason in error.reasons) or error.detail
            return Conclusion(action, "failed", reasons, error.code)
        except TimeoutError:
            return self._again(action, "timed_out", f"the target took longer than {self._pace.attempt:g} s", None)
        except RegistaError as error:
            return self._again(action, error.code, error.detail, None)
        except Exception as error:
            logger.exception("target %s failed", action.intent.target)
            return self._again(action, "defect", repr(error), None)
        return Conclusion(action, "succeeded", applied.detail, observed=tuple(applied.observed))

    async def _apply(self, action: Action, found: _Found) -> Applied:
        if found is None:
            raise TargetFailed(f"there is no target {action.intent.target}", code="unknown_target", retryable=False)
        target = await self._targets.get(action.key[1], action.intent.log_id, *found)
        return await target.apply(wanted(action.intent))

    def _failed(self, action: Action, error: TargetFailed) -> Conclusion:
        if error.code == "outdated":
            return Conclusion(action, "superseded", error.detail, error.code)
        if error.retryable:
            return self._again(action, error.code, error.detail, error.retry_after)
        return Conclusion(action, "failed", _with_hint(error), error.code)

    def _again(self, action: Action, code: str, detail: str, retry_after: float | None) -> Conclusion:
        pause = max(self._pause(action.attempts), min(retry_after or 0.0, self._pace.longest))
        due = self._clock() + pause
        if action.attempts == 1:
            logger.warning(
                "%s/%s on %s failed and is tried again: %s",
                action.intent.environment, action.intent.endpoint, action.intent.target, detail,
            )  # fmt: skip
        return Conclusion(action, "pending", detail, code, due=due)

    def _pause(self, attempts: int) -> float:
        """Seconds after a number of attempts: twice as long each time, less up to a half of it by chance."""
        ceiling = min(self._pace.longest, self._pace.first * 2.0 ** min(attempts - 1, 30))
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    async def _fenced(self, fn: Callable[[Connection], T]) -> T:
        """One transaction of the process that works.

        Raises:
            Overtaken: it is another one by now.
        """

        def checked(connection: Connection) -> T:
            self._taking.check(connection)
            return fn(connection)

        return await self._work.run(checked)

    def _complain(self, error: RegistaError) -> None:
        if self.trouble is None or self.trouble.detail != error.detail:
            logger.error("the deployer waits: %s", error.detail)
        self.trouble = error


def wanted(intent: Intent) -> Wanted:
    """What a target is given. The key is that of the event and the target, and of the endpoint: one event may concern several."""
    key = f"{intent.log_id}:{intent.position}:{intent.target}"
    if not intent.cause.startswith(f"{intent.stream}@"):
        key = f"{key}:{intent.environment}/{intent.endpoint}"
    return Wanted(
        environment=intent.environment,
        endpoint=intent.endpoint,
        model=intent.model,
        change=intent.order,
        position=intent.position,
        idempotency_key=key,
        variants=intent.variants,
        actor=intent.actor,
        reason=intent.reason,
        time=intent.time,
    )


def _with_hint(error: RegistaError) -> str:
    return f"{error.detail} {error.hint}" if error.hint else error.detail
