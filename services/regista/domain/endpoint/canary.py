"""The schedule of a canary: what it must be, and the set that its next step leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from regista.domain.endpoint.drafts import EVERYTHING, Draft
from regista.domain.endpoint.rules import percent
from regista.domain.errors import Reason
from regista.domain.events import Canary, CanaryStep, Variant

MAX_STEPS = 100


def schedule_problems(steps: Sequence[CanaryStep], found: Sequence[Draft]) -> Iterator[Reason]:
    """What is wrong with a schedule that a set is to begin with."""
    yield from _step_problems(steps)
    canaries = {draft.name: draft for draft in found if draft.role == "canary"}
    if len(canaries) != 1:
        said = f"{', '.join(canaries)} are canaries" if canaries else "there is no canary"
        hint = "A schedule brings in one version: give that one the role of the canary."
        yield Reason("one_canary", f"{said}, and there is a schedule", "canary", hint)
        return
    first = steps[0].weight
    for draft in found:
        if draft.role == "canary" and draft.weight != first:
            hint = f"Give it {percent(first)}, or begin the schedule with {percent(draft.weight)}."
            detail = f"{draft.name} begins with {percent(draft.weight)}, its schedule with {percent(first)}"
            yield Reason("canary_weight", detail, draft.field, hint)


def begun(steps: tuple[CanaryStep, ...], variants: Sequence[Variant]) -> Canary:
    """The schedule of the one canary of a set, at its first step."""
    canary = next(variant for variant in variants if variant.role == "canary")
    return Canary(canary.version, canary.ordinal, steps, 1)


def next_step(canary: Canary) -> Canary | None:
    """The schedule at its next step; None where it stands at the last."""
    return None if canary.step >= len(canary.steps) else replace(canary, step=canary.step + 1)


def at_step(canary: Canary, variants: Sequence[Variant]) -> list[Variant]:
    """The set with the canary at the weight of its step, the others sharing the rest as they shared it before."""
    weight = canary.steps[canary.step - 1].weight
    changed: list[Variant] = []
    for region in dict.fromkeys(variant.region for variant in variants):
        there = [variant for variant in variants if variant.region == region]
        others = [v for v in there if v.role != "shadow" and v.ordinal != canary.ordinal]
        if not any(v.ordinal == canary.ordinal and v.role == "canary" for v in there):
            changed += there
            continue
        shares = dict(
            zip((v.ordinal for v in others), shared([v.weight for v in others], EVERYTHING - weight), strict=True)
        )
        shares[canary.ordinal] = weight
        changed += [v if v.role == "shadow" else replace(v, weight=shares[v.ordinal]) for v in there]
    return changed


def ended(canary: Canary, variants: Sequence[Variant]) -> list[Variant]:
    """The set after the last step: where the canary stands it is the champion and has everything, beside shadows."""
    changed: list[Variant] = []
    for region in dict.fromkeys(variant.region for variant in variants):
        there = [variant for variant in variants if variant.region == region]
        winner = next((v for v in there if v.ordinal == canary.ordinal and v.role == "canary"), None)
        if winner is None:
            changed += there
        else:
            changed.append(replace(winner, role="champion", weight=EVERYTHING))
            changed += [variant for variant in there if variant.role == "shadow"]
    return changed


def shared(weights: Sequence[int], total: int) -> list[int]:
    """``total`` in proportion to ``weights``, whole and without a rest (largest remainders; the first wins a tie)."""
    whole = sum(weights)
    if whole == 0:
        return [total if i == 0 else 0 for i in range(len(weights))]
    parts = [divmod(weight * total, whole) for weight in weights]
    rest = total - sum(part for part, _ in parts)
    first = sorted(range(len(parts)), key=lambda i: -parts[i][1])[:rest]
    return [part + (i in first) for i, (part, _) in enumerate(parts)]


def _step_problems(steps: Sequence[CanaryStep]) -> Iterator[Reason]:
    code, field, weights = "bad_steps", "canary", [step.weight for step in steps]
    if len(steps) > MAX_STEPS:
        yield Reason(code, f"the schedule has {len(steps)} steps", field, f"Give {MAX_STEPS} at most.")
    if any(weight not in range(1, EVERYTHING + 1) for weight in weights):
        yield Reason(code, "a step has a weight outside of 0 to 100 %", field, "Give more than 0 and up to 100 %.")
    if any(later <= earlier for earlier, later in pairwise(weights)):
        yield Reason(code, "the steps do not rise", field, "Give each step more weight than the one before it.")
    if weights[-1] != EVERYTHING:
        yield Reason(code, f"the last step is {percent(weights[-1])}", field, "Let the last step be 100 %.")
    if any(step.hold_seconds < 0 or step.minimum_requests < 0 for step in steps):
        yield Reason(code, "a step waits for less than nothing", field, "Give 0 or more seconds and requests.")
