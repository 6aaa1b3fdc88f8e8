"""One attempt at a target: as long as it is certain that this process is the one that works, and what became of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from regista.deployer.actions import Action
from regista.deployer.concluding import Conclusion
from regista.deployer.lease import Lease
from regista.deployer.opening import OpenTargets
from regista.deployer.reactions import Intent, TargetDefinition
from regista.deployer.targets.base import Applied, TargetFailed, Wanted
from regista.domain.errors import Invalid, RegistaError

_TRUST: Final = 0.8
_ASKED_IN_IT: Final = 4
logger = logging.getLogger("regista.deployer")
Found: TypeAlias = tuple[int, TargetDefinition] | None
"""What a target is, and the position of the event that said so; None: there is none."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of the first pause after a failure and the longest, of one attempt, and after which it is too late.

    ``grace``: how long a process that is to end waits for what is under way. ``kept``: how long what was finished is
    remembered. ``hold``: how long a target is given nothing newer than what another process may have left under way; no
    call goes on for that long without the work database saying that this process is the one that works.
    """

    first: float = 0.5
    longest: float = 60.0
    attempt: float = 120.0
    late: float = 60.0
    grace: float = 10.0
    hold: float = 10.0
    kept: float = 90 * 86_400.0

    @property
    def trust(self) -> float:
        """Seconds that this process believes what the work database said: a call has ended before a successor goes on."""
        return self.hold * _TRUST

    @property
    def ask_every(self) -> float:
        """Seconds between two questions to the work database while a call is under way."""
        return self.trust / _ASKED_IN_IT

    def pause(self, attempts: int) -> float:
        """Seconds after a number of attempts: twice as long each time, less up to a half of it by chance."""
        ceiling = min(self.longest, self.first * 2.0 ** min(attempts - 1, 30))
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


class _Unsure(Exception):
    """Whether this process is the one that works has to be asked first."""


class Attempts:
    """Gives targets what they are to be given."""

    def __init__(self, targets: OpenTargets, pace: Pace, lease: Lease, clock: Callable[[], float]) -> None:
        self._targets = targets
        self._pace = pace
        self._lease = lease
        self._clock = clock

    async def outcome(self, action: Action, found: Found) -> Conclusion:
        """What became of one attempt."""
        try:
            async with asyncio.timeout(self._pace.attempt):
                applied = await self._apply(action, found)
        except TargetFailed as error:
            return self._failed(action, found, error)
        except Invalid as error:
            reasons = "; ".join(reason.detail for reason in error.reasons) or error.detail
            return Conclusion(action, "failed", reasons, error.code)
        except TimeoutError:
            return self._again(
                action, found, "timed_out", f"the target took longer than {self._pace.attempt:g} s", None
            )
        except RegistaError as error:
            return self._again(action, found, error.code, error.detail, None)
        except _Unsure:
            return broken_off(action)
        except Exception as error:
            logger.exception("target %s failed", action.intent.target)
            return self._again(action, found, "defect", repr(error), None)
        return Conclusion(action, "succeeded", applied.detail, observed=tuple(applied.observed))

    async def _apply(self, action: Action, found: Found) -> Applied:
        if found is None:
            raise TargetFailed(f"there is no target {action.intent.target}", code="unknown_target", retryable=False)
        target = await self._targets.get(action.key[1], action.intent.log_id, *found)
        if not self._lease.holds:  # it took long, or the process was frozen: another one may have brought what is newer
            raise _Unsure
        return await target.apply(wanted(action.intent))

    def _failed(self, action: Action, found: Found, error: TargetFailed) -> Conclusion:
        if error.code == "outdated":
            return Conclusion(action, "superseded", error.detail, error.code)
        if error.retryable:
            return self._again(action, found, error.code, error.detail, error.retry_after)
        return Conclusion(action, "failed", _with_hint(error), error.code)

    def _again(self, action: Action, found: Found, code: str, detail: str, retry_after: float | None) -> Conclusion:
        """Pending again; of a target that has been removed only for as long as it is not overdue."""
        if found is not None and found[1].removed and action.overdue:
            return Conclusion(action, "failed", f"{detail}; the target has been removed: it is not tried again", code)
        pause = max(self._pace.pause(action.attempts), min(retry_after or 0.0, self._pace.longest))
        due = self._clock() + pause
        if action.attempts == 1:
            logger.warning(
                "%s/%s on %s failed and is tried again: %s",
                action.intent.environment, action.intent.endpoint, action.intent.target, detail,
            )  # fmt: skip
        return Conclusion(action, "pending", detail, code, due=due)


def broken_off(action: Action) -> Conclusion:
    """It has ended without an outcome, and is tried again at once by whoever works."""
    return Conclusion(
        action, "pending", "broken off: the deployer ended, or could not tell whether it still works", "broken_off"
    )


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
