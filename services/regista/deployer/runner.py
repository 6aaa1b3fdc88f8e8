"""Carries out what was recorded: per endpoint and target one thing at a time and only the newest, all others beside it.

Nothing here is the truth: what is due, under way or done stands in the work database, and whatever ends this process
leaves there what the next one goes on with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from regista.deployer import holds, ledger
from regista.deployer.actions import Action, Key
from regista.deployer.attempts import Attempts, Found, Pace, broken_off
from regista.deployer.concluding import Conclusion, conclude
from regista.deployer.holds import Held
from regista.deployer.known import definition
from regista.deployer.lease import Lease
from regista.deployer.ledger import Counts
from regista.deployer.opening import OpenTargets
from regista.domain.errors import RegistaError, Unavailable
from regista.work import cursors
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a round found and did. It counts once that is committed."""

    now: float
    started: Sequence[tuple[Action, Found]]
    due: float | None
    late: Sequence[Action]
    held: Held
    counts: Counts | None
    pruned: bool


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
        self._pace = pace or Pace()
        self._reported = reported
        self._clock = clock
        self._waking = Waking()
        self._busy: dict[Key, tuple[Action, asyncio.Task[Conclusion]]] = {}
        self._turn = asyncio.Lock()
        self._concluded: list[Conclusion] = []
        self._lease = Lease(self._pace.trust, self._lapsed)
        self._attempts = Attempts(targets, self._pace, self._lease, clock)
        self._epoch = ""
        self._is_unsure = False
        self._held: Held = {}
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
        """What was under way is finished, or broken off for the next process where that takes longer than ``grace``."""
        async with self._turn:  # what is being started is under way too
            under_way = [task for _, task in self._busy.values()]
        await self._finished(under_way)
        self._break_off()
        await asyncio.gather(*under_way, return_exceptions=True)
        concluded, self._concluded = self._concluded, []
        if concluded:
            try:
                await self._fenced(partial(conclude, conclusions=concluded))
            except Overtaken:
                self._concluded = concluded
                await self._step_aside()
            except Unavailable:
                pass  # the next process does them again
        self._lease.end()

    async def _finished(self, under_way: Sequence[asyncio.Task[Conclusion]]) -> None:
        """Wait for what is under way, and for no longer than ``grace``."""
        clock = asyncio.get_running_loop().time
        until, waiting = clock() + self._pace.grace, set(under_way)
        while waiting and (left := until - clock()) > 0:
            _, waiting = await asyncio.wait(waiting, timeout=min(left, self._pace.ask_every))
            if waiting:
                with suppress(Overtaken, Unavailable):  # the lease ends then
                    await self._fenced(lambda _: None)

    async def _round(self) -> float:
        """Write down what became of attempts and start what is due, in one transaction; seconds until there may be more."""
        if not self._taking.is_claimed:
            await self._step_aside()
            return _STANDING_BY
        concluded, self._concluded = self._concluded, []
        try:
            await self._recover()
            busy = frozenset(self._busy) - {conclusion.action.key for conclusion in concluded}
            seen = await self._fenced(partial(self._look, self._clock(), busy=busy, concluded=concluded))
        except Overtaken:
            self._concluded = concluded + self._concluded
            await self._step_aside()
            return _STANDING_BY
        except Unavailable as error:
            self._concluded = concluded + self._concluded
            self._is_unsure = True  # what was started may be marked all the same
            self._complain(error)
            return self._pace.pause(2)
        self.trouble = None
        self._free(concluded)
        self._know(seen)
        if seen.late or concluded:
            self._reported()
        for action, found in seen.started:
            self._begin(action, found)
        return self._rest(seen, concluded)

    def _look(self, now: float, connection: Connection, busy: frozenset[Key], concluded: Sequence[Conclusion]) -> _Seen:
        conclude(connection, concluded)
        held = holds.current(connection, now, self._pace.hold) if self._held else {}
        started = ledger.start(connection, now, busy, held, AT_A_TARGET)
        late = ledger.escalate(connection, now - self._pace.late)
        prunes, counts = now - self._pruned > _PRUNE_EVERY, now - self._counted > _COUNT_EVERY
        if prunes:
            ledger.prune(connection, now - self._pace.kept)
        counted = ledger.count(connection) if counts else None
        due = ledger.next_due(connection, now)
        found = {target: definition(connection, target) for target in {action.key[1] for action in started}}
        return _Seen(now, [(action, found[action.key[1]]) for action in started], due, late, held, counted, prunes)

    def _know(self, seen: _Seen) -> None:
        """What was seen is committed."""
        self._held = seen.held
        if seen.pruned:
            self._pruned = seen.now
        if seen.counts is not None:
            self.counts, self._counted = seen.counts, seen.now
        self._tell(seen.late)

    def _rest(self, seen: _Seen, concluded: Sequence[Conclusion]) -> float:
        """Seconds until there may be more to do."""
        rest = _IDLE if self._counted_all(seen.started, concluded) else _COUNT_EVERY
        if self._busy:
            rest = min(rest, self._pace.ask_every)
        if self._held:  # whoever left it may say that it has ended
            rest = min(rest, _STANDING_BY)
        moments = [hold.until for hold in self._held.values()] + ([] if seen.due is None else [seen.due])
        return min([rest, *(max(moment - self._clock(), 0.01) for moment in moments)])

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
        if epoch == self._epoch and not self._is_unsure:
            return
        mine, now = [action for action, _ in self._busy.values()], self._clock()
        is_own = epoch == self._epoch  # nobody else began anything meanwhile, and what began here is known

        def recover(connection: Connection) -> tuple[list[Action], Held]:
            left = ledger.recover(connection, mine)
            if not is_own:
                holds.keep(connection, left, now + self._pace.hold)
            return left, holds.current(connection, now, self._pace.hold)

        left, self._held = await self._fenced(recover)
        self._epoch, self._is_unsure = epoch, False
        if left:
            logger.warning("%d deployments were under way when the process before ended: tried again", len(left))

    async def _step_aside(self) -> None:
        """Another one works, or may by now: break off what is under way, and say what has ended, for nobody to wait for it."""
        if not self._busy:
            return
        ended, self._concluded = self._concluded, []

        def say(connection: Connection) -> bool:
            there = cursors.read(connection, self._taking.name, lock=True)
            if there is not None and there.epoch == self._epoch:
                return False
            ledger.step_aside(connection, [conclusion.action for conclusion in ended])
            return True

        is_said = False
        with suppress(Unavailable):
            is_said = await self._work.run(say)
        if not is_said:
            self._concluded = ended + self._concluded
            return
        self._free(ended)  # whoever works now does them again
        self._lease.end()

    def _lapsed(self) -> None:
        """It is not known any more whether this process may call anybody."""
        if self._break_off():
            logger.warning("calls are broken off: whether this deployer is still the one that works is not known")

    def _break_off(self) -> bool:
        """Whether there was something under way."""
        under_way = [task for _, task in self._busy.values() if not task.done()]
        for task in under_way:
            if not task.cancelling():  # told once more, it would not wait for a thread of its own
                task.cancel()
        return bool(under_way)

    def _free(self, concluded: Sequence[Conclusion]) -> None:
        for conclusion in concluded:
            self._busy.pop(conclusion.action.key, None)

    def _begin(self, action: Action, found: Found) -> None:
        """Give it to the target; what became of it is written down in the next round."""
        task = asyncio.create_task(self._attempts.outcome(action, found))
        self._busy[action.key] = action, task
        task.add_done_callback(partial(self._ended, action))

    def _ended(self, action: Action, task: asyncio.Task[Conclusion]) -> None:
        conclusion = broken_off(action) if task.cancelled() else task.result()
        self._concluded.append(conclusion)  # to the list of now: rounds replace it
        self._waking.wake()

    async def _fenced(self, fn: Callable[[Connection], T]) -> T:
        """One transaction of the process that works.

        Raises:
            Overtaken: it is another one by now.
        """

        def checked(connection: Connection) -> T:
            self._taking.check(connection)
            return fn(connection)

        asked = self._lease.asks()
        found = await self._work.run(checked)
        self._lease.confirm(asked)
        return found

    def _complain(self, error: RegistaError) -> None:
        if self.trouble is None or self.trouble.detail != error.detail:
            logger.error("the deployer waits: %s", error.detail)
        self.trouble = error
