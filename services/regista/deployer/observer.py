"""Looks at what runs where, and tells the registry when it is not what it was told last.

Between two deployments somebody may change a target by hand, a server may come back with old files, or be gone: what
endpoints show as actual stays true, and a digest that the registry does not know comes to light. A deployer that starts
looks at once: a target that ended with the one before serves again by that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, func, select

from regista.deployer.actions import Key
from regista.deployer.effects import NAME
from regista.deployer.known import definition
from regista.deployer.opening import OpenTargets
from regista.deployer.reactions import Intent, TargetDefinition
from regista.deployer.reports import ReportState, report
from regista.deployer.runner import Runner
from regista.deployer.stored import intent_of, observed_text
from regista.deployer.tables import ACTIONS, DEPLOYED
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import RegistaError, Unavailable
from regista.work import orders
from regista.work.database import Work
from regista.work.taking import Overtaken, Taking
from regista.work.waking import Waking

AT_ONCE: Final = 8
_LONGEST: Final = 30.0
"""Seconds that one look may take."""
_MISSES: Final = 3
"""Looks in a row that find nothing out, after which that is told."""
_RAREST: Final = 3_600.0
"""Seconds between looks at what is something else each time: what is told is kept for ever."""
_NOBODY_KNOWS: Final = "?"
"""What was reported of a target that cannot be asked."""
logger = logging.getLogger("regista.deployer")


@dataclass(frozen=True, slots=True)
class _Deployed:
    intent: Intent
    observed: str
    looks: int
    revision: int
    definition: TargetDefinition

    @property
    def key(self) -> Key:
        return self.intent.stream, self.intent.target.lower()


class Observer:
    """Looks at every endpoint on every target once in ``every`` seconds. Belongs to one event loop."""

    def __init__(
        self,
        work: Work,
        taking: Taking,
        targets: OpenTargets,
        runner: Runner,
        *,
        every: float,
        reported: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._work = work
        self._taking = taking
        self._targets = targets
        self._runner = runner
        self._every = every
        self._reported = reported
        self._clock = clock
        self._waking = Waking()
        self._epoch = ""
        self._misses: Counter[Key] = Counter()
        self._pauses: dict[Key, float] = {}

    async def run(self) -> None:
        """Look until ``close``."""
        while not self._waking.is_over:
            try:
                due = await self._due() if self._taking.is_claimed else []
                await asyncio.gather(*(self._look(deployed) for deployed in due))
            except Overtaken:
                due = []
            except RegistaError as error:
                logger.warning("what runs cannot be looked at: %s", error.detail)
                due = []
            if len(due) < AT_ONCE:
                await self._waking.wait(min(1.0, self._every / 2))

    async def close(self) -> None:
        """End ``run``."""
        self._waking.end()

    async def _due(self) -> list[_Deployed]:
        """What is to be looked at now, the longest waiting first; its next look is set already."""
        now, busy = self._clock(), self._runner.busy

        def take(connection: Connection) -> list[_Deployed]:
            self._taking.check(connection)
            if self._epoch != self._taking.epoch:
                connection.execute(DEPLOYED.update(), {"look_due": 1.0})
            waiting = select(DEPLOYED).where(DEPLOYED.c.look_due <= now).order_by(DEPLOYED.c.look_due).limit(AT_ONCE)
            found = []
            for row in connection.execute(waiting).all():
                known = definition(connection, row.target)
                there = (DEPLOYED.c.stream == row.stream, DEPLOYED.c.target == row.target)
                pause = self._pauses.get((row.stream, row.target), self._every)
                connection.execute(DEPLOYED.update().where(*there), {"look_due": now + pause})
                # The first look comes a period after the deployment: what was seen then was reported with it.
                if known is not None and row.look_due and (row.stream, row.target) not in busy:
                    found.append(_Deployed(intent_of(row.intent), row.observed, row.looks, *known))
            return found

        epoch = self._taking.epoch
        due = await self._work.run(take)
        self._epoch = epoch
        return due

    async def _look(self, deployed: _Deployed) -> None:
        intent = deployed.intent
        try:
            async with asyncio.timeout(_LONGEST):
                target = await self._targets.get(deployed.key[1], intent.log_id, deployed.revision, deployed.definition)
                seen = await target.observe(intent.environment, intent.endpoint)
        except Unavailable as error:  # ours, not the target's
            logger.info("%s cannot be looked at: %s", intent.target, error)
            return
        except (RegistaError, TimeoutError, OSError) as error:
            logger.info("%s cannot be looked at: %s", intent.target, error)
            await self._missed(deployed, error)
            return
        except Exception as error:
            logger.exception("target %s cannot be looked at", intent.target)
            await self._missed(deployed, error)
            return
        self._misses.pop(deployed.key, None)
        if seen is not None:
            await self._seen(deployed, observed_text(seen), seen)

    async def _missed(self, deployed: _Deployed, error: Exception) -> None:
        self._misses[deployed.key] += 1
        if self._misses[deployed.key] >= _MISSES:
            said = error.detail if isinstance(error, RegistaError) else str(error) or type(error).__name__
            await self._seen(deployed, _NOBODY_KNOWS, (), f"it cannot be asked what it serves: {said}")

    async def _seen(
        self, deployed: _Deployed, text: str, seen: Sequence[ObservedVariant], why: str | None = None
    ) -> None:
        """Tell what is not what was told last; what is something else each time is looked at ever more rarely."""
        pause = self._pauses.pop(deployed.key, self._every)
        if text == deployed.observed:
            if pause / 2 > self._every:
                self._pauses[deployed.key] = pause / 2
            return
        self._pauses[deployed.key] = min(2 * pause, max(_RAREST, self._every))
        if await self._work.run(partial(self._tell, deployed=deployed, text=text, seen=seen, why=why)):
            intent = deployed.intent
            logger.warning("%s/%s on %s is not what it was", intent.environment, intent.endpoint, intent.target)
            self._reported()

    def _tell(
        self, connection: Connection, deployed: _Deployed, text: str, seen: Sequence[ObservedVariant], why: str | None
    ) -> bool:
        """Whether it was told: not where something was deployed, or is on its way, since the look began."""
        self._taking.check(connection)
        stream, target = deployed.key
        there = (DEPLOYED.c.stream == stream, DEPLOYED.c.target == target)
        row = connection.execute(select(DEPLOYED).where(*there)).first()
        open_ = select(func.count()).where(
            ACTIONS.c.stream == stream, ACTIONS.c.target == target, ACTIONS.c.state.in_(("pending", "running"))
        )
        if row is None or row.looks != deployed.looks or connection.execute(open_).scalar_one():
            return False
        if intent_of(row.intent) != deployed.intent:
            return False
        looks = deployed.looks + 1
        connection.execute(DEPLOYED.update().where(*there), {"observed": text, "looks": looks})
        # Of a change with regions a target may serve its own alone: what it said when it was given that is right too.
        as_wanted = text == row.applied or _serves(deployed.intent, seen)
        words = "it serves what is wanted again" if as_wanted else "it serves something else than what was deployed"
        state: ReportState = "succeeded" if as_wanted else "failed"
        told = report(deployed.intent, state, seen, why or words, 1, f"look-{looks}-{int(self._clock() * 1_000)}")
        orders.enqueue(connection, NAME, [told])
        return True


def _serves(intent: Intent, seen: Sequence[ObservedVariant]) -> bool:
    """Whether the digests are those that are wanted, wherever one has a share."""

    def shares(variants: Sequence[ObservedVariant]) -> set[tuple[str, str | None, int]]:
        return {(v.artifact_digest, v.region, v.weight) for v in variants if v.weight}

    wanted = [ObservedVariant(v.artifact_digest, v.role, v.weight, v.mirror, v.region) for v in intent.variants]
    return shares(wanted) == shares(seen)
