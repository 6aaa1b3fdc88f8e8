"""From what was measured of a change to a verdict on it: the schedule of a canary, the harm of a challenger.

A canary goes on when the step was held for as long, and was asked as often, as its schedule says, and every guardrail
holds; after the last step it is to be promoted. What breaks a guardrail is to be rolled back, at once. Canaries and
challengers without a schedule are rolled back, never promoted: nobody said how long they are to be watched. Shadows are
measured, and not judged: what they answer reaches nobody.

Variants are judged region by region: regions differ, and sums over them with other shares would compare the regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regista.domain.events import Canary, Guardrail, Measured, Variant, Verdict
from regista.metrics.guardrails import Judgement, Served, judge
from regista.metrics.totals import Totals

OVERDUE = 3_600.0
"""Seconds after which a canary that could have gone on, and whose metrics do not tell, is said to be inconclusive."""
Place = tuple[str, str | None]
"""A variant: its digest and its region."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A change that took effect. ``held``: seconds since. ``baselines``: what champions are compared by, per region."""

    variants: tuple[Variant, ...]
    canary: Canary | None
    guardrails: tuple[Guardrail, ...]
    held: float
    totals: Mapping[Place, Totals]
    baselines: Mapping[str | None, Served]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """``verdict`` None: it is watched further, and ``explanation`` says what for."""

    verdict: Verdict | None
    explanation: tuple[str, ...]
    judgements: tuple[Judgement, ...]

    @property
    def measured(self) -> tuple[Measured, ...]:
        """What the verdict rests on."""
        return tuple(judged.measured for judged in self.judgements if judged.measured is not None)


def candidates(variants: Sequence[Variant]) -> list[Variant]:
    """The variants that are on trial."""
    return [variant for variant in variants if variant.role in {"canary", "challenger"}]


def conclude(trial: Trial) -> Conclusion:
    """The verdict that follows now."""
    judged = tuple(
        judge(guardrail, _served(trial, variant), trial.baselines.get(variant.region))
        for variant in candidates(trial.variants)
        for guardrail in trial.guardrails
    )
    broken = tuple(one.said for one in judged if one.state == "broken")
    if broken:
        return Conclusion("roll_back", broken, judged)
    if trial.canary is None:
        return Conclusion(None, tuple(one.said for one in judged if one.state != "holds"), judged)
    canary = trial.canary
    early = tuple(_unmet(trial, canary))
    open_ = tuple(one.said for one in judged if one.state != "holds")
    if not early and not open_:
        last = canary.step >= len(canary.steps)
        return Conclusion("promote" if last else "proceed", _held(trial, canary, judged), judged)
    if trial.held > canary.steps[canary.step - 1].hold_seconds + OVERDUE:
        return Conclusion("inconclusive", early + open_, judged)
    return Conclusion(None, early + open_, judged)


def _served(trial: Trial, variant: Variant) -> Served:
    totals = trial.totals.get((variant.artifact_digest, variant.region), Totals())
    return Served(variant.version, variant.region, totals, trial.held)


def _requests(trial: Trial, canary: Canary) -> int:
    found = {(v.artifact_digest, v.region) for v in trial.variants if v.ordinal == canary.ordinal}
    return sum(trial.totals[place].requests for place in found if place in trial.totals)


def _unmet(trial: Trial, canary: Canary) -> list[str]:
    step, said = canary.steps[canary.step - 1], []
    requests = _requests(trial, canary)
    where = f"step {canary.step} of {len(canary.steps)}"
    if trial.held < step.hold_seconds:
        said.append(f"{where} was held for {trial.held:.0f} of {step.hold_seconds} s")
    if requests < step.minimum_requests:
        said.append(f"{where} saw {requests:,} of {step.minimum_requests:,} requests")
    return said


def _held(trial: Trial, canary: Canary, judged: Sequence[Judgement]) -> tuple[str, ...]:
    step = canary.steps[canary.step - 1]
    said = (
        f"{canary.version} was served at {step.weight / 100:g} % (step {canary.step} of {len(canary.steps)}) for "
        f"{trial.held:.0f} s and {_requests(trial, canary):,} requests"
    )
    return (said, *(one.said for one in judged))
