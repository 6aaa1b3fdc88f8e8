"""Guardrails: whether a variant keeps within its bounds, and that in a sentence.

Nothing is concluded from fewer samples than a guardrail asks for, nor from fewer than tell anything. From then on it is

* *broken*, when the whole interval of the metric lies beyond the bound: by chance that happens to one sound variant
  in twenty at most, however often it is looked at;
* *holding*, when the metric itself is within the bound. Against a bound that depends on the champion two equal versions
  are half of the time on either side: it holds too when ``PATIENCE`` times the samples asked for show no harm;
* *undecided* otherwise: more samples will tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from regista.domain.endpoint.endpoints import LATENCIES
from regista.domain.events import Guardrail, Measured
from regista.metrics.estimates import Estimate, difference, estimate, fewest
from regista.metrics.totals import Totals

PATIENCE = 4
State: TypeAlias = Literal["holds", "broken", "undecided", "waiting"]


@dataclass(frozen=True, slots=True)
class Served:
    """A variant as it was measured. ``seconds``: how long it has been served since its change took effect."""

    version: str
    region: str | None
    totals: Totals
    seconds: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a guardrail stands for a variant. ``measured`` is None where nothing was."""

    guardrail: Guardrail
    state: State
    said: str
    measured: Measured | None


def judge(guardrail: Guardrail, variant: Served, champion: Served | None) -> Judgement:
    """How a guardrail stands. ``champion`` is what it is compared with, where it depends on one."""
    planned = max(1, guardrail.minimum_samples)
    found = estimate(guardrail.metric, variant.totals, seconds=variant.seconds, planned=planned)
    base: Estimate | None = None
    if guardrail.relative_to_champion and champion is not None:
        base = estimate(guardrail.metric, champion.totals, seconds=champion.seconds, planned=planned)
    bound = _bound(guardrail, base)
    least = max(guardrail.minimum_samples, fewest(guardrail.metric))
    measured = None
    if found is not None:
        measured = Measured(variant.version, variant.region, guardrail.metric, found.value, found.samples, bound)
    state = _state(guardrail, found, base, bound, least)
    said = _sentence(guardrail, variant, found, base, bound, state, least)
    return Judgement(guardrail, state, said, measured)


def shown(metric: str, value: float) -> str:
    """A value as people write it, with its unit."""
    if metric == "errors":
        return f"{value * 100:.3g} %"
    if metric in LATENCIES:
        return f"{value * 1000:.4g} ms"
    return f"{value:.4g} a second" if metric == "requests" else f"{value:.4g}"


def _bound(guardrail: Guardrail, base: Estimate | None) -> float | None:
    if not guardrail.relative_to_champion:
        return guardrail.value
    return None if base is None else guardrail.value * base.value


def _state(
    guardrail: Guardrail, found: Estimate | None, base: Estimate | None, bound: float | None, least: int
) -> State:
    if found is None or bound is None or guardrail.limit == "unknown":
        return "waiting"
    samples = found.samples if base is None else min(found.samples, base.samples)
    if samples < least or samples == 0:
        return "waiting"
    beyond = found if base is None else difference(found, base, guardrail.value)
    line = bound if base is None else 0.0
    harmed = beyond.low > line if guardrail.limit == "maximum" else beyond.high < line
    if harmed:
        return "broken"
    within = beyond.value <= line if guardrail.limit == "maximum" else beyond.value >= line
    patient = base is not None and samples >= PATIENCE * least
    return "holds" if within or patient else "undecided"


def _sentence(
    guardrail: Guardrail,
    variant: Served,
    found: Estimate | None,
    base: Estimate | None,
    bound: float | None,
    state: State,
    least: int,
) -> str:
    metric, place = guardrail.metric, "" if variant.region is None else f" in {variant.region}"
    subject = f"{metric} of {variant.version}{place}"
    if found is None:
        return f"{subject}: nothing was measured yet"
    known = f"{shown(metric, found.value)} of {found.samples:,} samples"
    if bound is None:
        return f"{subject}: {known}; of the champion nothing was measured yet"
    most = "at most" if guardrail.limit == "maximum" else "at least"
    limit = f"{most} {shown(metric, bound)}"
    if base is not None:
        limit += f" ({guardrail.value:g} times the champion's {shown(metric, base.value)} of {base.samples:,})"
    between = f"between {shown(metric, found.low)} and {shown(metric, found.high)}"
    return {
        "broken": f"{subject}: {known}, certainly {between}; allowed is {limit}",
        "holds": f"{subject}: {known}; allowed is {limit}",
        "undecided": f"{subject}: {known}, {between}; allowed is {limit}: more samples will tell",
        "waiting": f"{subject}: {known}; nothing is concluded from fewer than {least:,}",
    }[state]
