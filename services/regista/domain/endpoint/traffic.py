"""Decisions on traffic: the whole set of variants, a promotion, the next step of a canary."""

from __future__ import annotations

from collections.abc import Sequence

from regista.domain import events as e
from regista.domain.context import Context, need_reason
from regista.domain.endpoint import canary as schedule
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.drafts import EVERYTHING, drafts, request_of, with_roles
from regista.domain.endpoint.lookup import (
    Surroundings,
    called,
    check_expected_change,
    open_endpoint,
    refused,
    surroundings,
    surroundings_problems,
)
from regista.domain.endpoint.rules import set_problems, unique, version_problems
from regista.domain.endpoint.state import EndpointState
from regista.domain.errors import Invalid, Reason, Refused

Requests = Sequence[tuple[str, c.VariantRequest]]
"""Variants asked for, each with the field that a refusal names."""


def change_traffic(state: EndpointState, command: c.ChangeTraffic, context: Context) -> list[e.Event]:
    """Change what is to be served. Asking for what is served already is recorded too: it is deployed once more.

    A whole set without a schedule ends the canary that is under way.

    Raises:
        Refused: with every reason; ``no_canary``, when there is none to advance.
        PreconditionFailed: ``expectation_failed``.
        Invalid: ``ambiguous_change``, when not exactly one of the three ways was taken.
    """
    open_endpoint(state, command)
    if (bool(command.variants), command.promote is not None, command.advance).count(True) != 1 or (
        command.canary and not command.variants
    ):
        raise Invalid(
            "a change of traffic is a whole set of variants, a promotion or the next step of a canary",
            code="ambiguous_change",
            hint="Give one of variants (with or without a canary's steps), promote and advance.",
        )
    need_reason(context, "a change of traffic")
    check_expected_change(state, command.expect_change)
    around = surroundings(context, state.environment, state.model)
    step: e.Canary | None = None
    if command.variants:
        requests: Requests = [(f"variants[{i}]", request) for i, request in enumerate(command.variants)]
    elif command.promote is not None:
        requests = [("promote", request) for request in _champion_everywhere(state, around, command.promote)]
    else:
        step, variants = _advanced(state)
        requests = [("canary", request_of(variant)) for variant in variants]
    variants, reasons = settled(state, around, requests, context, command.canary)
    if reasons:
        raise refused(f"the traffic of {called(state)} stays as it is", reasons, "traffic_refused")
    return [traffic_changed(state, variants, schedule.begun(command.canary, variants) if command.canary else step)]


def settled(
    state: EndpointState,
    around: Surroundings,
    requests: Requests,
    context: Context,
    steps: tuple[e.CanaryStep, ...] = (),
) -> tuple[tuple[e.Variant, ...], list[Reason]]:
    """The set that is asked for, or every reason why it cannot be."""
    found, problems = drafts(requests, around.model, around.environment)
    found = with_roles(found, state.variants, scheduled=bool(steps))
    reasons = unique(
        [
            *surroundings_problems(context, around, state.environment, state.model, state.targets),
            *problems,
            *version_problems(found, around, state.variants, context),
            *set_problems(found),
            *(schedule.schedule_problems(steps, found) if steps else ()),
        ]
    )
    return (() if reasons else tuple(draft.variant() for draft in found)), reasons


def traffic_changed(
    state: EndpointState, variants: tuple[e.Variant, ...], canary: e.Canary | None = None
) -> e.TrafficChanged:
    """The event of a new set."""
    return e.TrafficChanged(
        environment=state.environment,
        endpoint=state.name,
        model=state.model,
        variants=variants,
        canary=canary,
        previous=state.variants,
        previous_canary=state.canary,
        previous_change=state.change,
    )


def places(state: EndpointState, around: Surroundings) -> list[str | None]:
    """The regions that are served, as far as the environment still has them; all of it where nothing is."""
    served = list(dict.fromkeys(variant.region for variant in state.variants))
    if around.environment is not None:
        served = [region for region in served if region in around.environment.places]
    return served or [None]


def _champion_everywhere(state: EndpointState, around: Surroundings, ref: str) -> list[c.VariantRequest]:
    return [c.VariantRequest(ref, EVERYTHING, "champion", region) for region in places(state, around)]


def _advanced(state: EndpointState) -> tuple[e.Canary | None, Sequence[e.Variant]]:
    if state.canary is None:
        raise Refused(
            f"{called(state)} has no canary with a schedule",
            code="no_canary",
            hint="Change the traffic to a set with a canary and its steps; regista traffic … --promote ends one without.",
        )
    step = schedule.next_step(state.canary)
    if step is None:
        return None, schedule.ended(state.canary, state.variants)
    return step, schedule.at_step(step, state.variants)
