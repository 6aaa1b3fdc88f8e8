"""Decisions on the endpoint itself: create, update, retire."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import isfinite

from regista.domain import events as e
from regista.domain.commands import UNSET
from regista.domain.context import Context, need_reason
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.follow import followed_name
from regista.domain.endpoint.lookup import (
    Surroundings,
    called,
    check_expected_change,
    open_endpoint,
    refused,
    surroundings,
    surroundings_problems,
)
from regista.domain.endpoint.state import EndpointState
from regista.domain.errors import Invalid, Reason, Refused, RegistaError
from regista.domain.references import ByStage, check_name, parse_reference, target_stream

MAX_TARGETS = 100
LATENCIES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
"""What is estimated of how long answers take: the share of requests that took no longer."""
_LIKE_LATENCY = re.compile(r"latency(_?p[0-9.]+)?", re.IGNORECASE)


def create_endpoint(state: EndpointState, command: c.CreateEndpoint, context: Context) -> list[e.Event]:
    """Take the name. A retired endpoint can be created anew, for the same model: names are never repointed.

    Raises:
        Refused: ``name_taken``; ``endpoint_refused`` with every reason.
    """
    check_name(command.environment, "environment name")
    check_name(command.endpoint, "endpoint name")
    check_name(command.model, "model name")
    if state.exists:
        _check_free(state, command)
    around = surroundings(context, command.environment, command.model)
    follow, problems = _follow(command.follow, around)
    reasons = [
        *surroundings_problems(context, around, command.environment, command.model, command.targets),
        *_target_problems(command.targets),
        *problems,
        *_guardrail_problems(command.guardrails),
    ]
    if reasons:
        raise refused(f"{command.environment}/{command.endpoint} is not created", reasons, "endpoint_refused")
    assert around.environment is not None
    assert around.model is not None
    return [
        e.EndpointCreated(
            environment=around.environment.name,
            endpoint=state.name or command.endpoint,
            model=around.model.name,
            targets=_spelled(context, command.targets),
            follow=follow,
            automatic=command.automatic,
            guardrails=command.guardrails,
            description=command.description,
        )
    ]


def update_endpoint(state: EndpointState, command: c.UpdateEndpoint, context: Context) -> list[e.Event]:
    """Change what describes the endpoint. What it serves stays; new targets get that, too.

    Raises:
        Invalid: ``nothing_to_change``.
        Refused: ``endpoint_refused`` with every reason.
    """
    open_endpoint(state, command)
    given = (command.targets, command.automatic, command.guardrails, command.description)
    if all(value is None for value in given) and command.follow is UNSET:
        raise Invalid("the update changes nothing", code="nothing_to_change", hint="Give at least one field.")
    around = surroundings(context, state.environment, state.model)
    follow, problems = (state.follow, []) if command.follow is UNSET else _follow(command.follow, around)
    targets = command.targets or ()
    guardrails = state.guardrails if command.guardrails is None else command.guardrails
    reasons = [
        *surroundings_problems(context, around, state.environment, state.model, targets),
        *_target_problems(targets),
        *problems,
        *_guardrail_problems(guardrails),
    ]
    if reasons:
        raise refused(f"{called(state)} stays as it is", reasons, "endpoint_refused")
    return [
        e.EndpointUpdated(
            environment=state.environment,
            endpoint=state.name,
            model=state.model,
            targets=state.targets if command.targets is None else _spelled(context, command.targets),
            follow=follow,
            automatic=state.automatic if command.automatic is None else command.automatic,
            guardrails=guardrails,
            description=state.description if command.description is None else command.description,
            previous_targets=state.targets,
            previous_follow=state.follow,
            previous_automatic=state.automatic,
            previous_guardrails=state.guardrails,
            previous_description=state.description,
        )
    ]


def retire_endpoint(state: EndpointState, command: c.RetireEndpoint, context: Context) -> list[e.Event]:
    """Serve nothing any more."""
    open_endpoint(state, command)
    need_reason(context, "retiring an endpoint")
    check_expected_change(state, command.expect_change)
    return [
        e.EndpointRetired(
            environment=state.environment,
            endpoint=state.name,
            model=state.model,
            previous=state.variants,
            previous_canary=state.canary,
            previous_change=state.change,
        )
    ]


def _check_free(state: EndpointState, command: c.CreateEndpoint) -> None:
    same_model = state.model.lower() == command.model.lower()
    if state.retired and same_model:
        return
    if same_model:
        hint = f"Change it: PATCH /v1/endpoints/{called(state)}, or its traffic."
    elif state.retired:
        hint = f"Create it for {state.model} again, or take another name."
    else:
        hint = "Take another name: an endpoint serves the versions of one model."
    raise Refused(f"the name {called(state)} is taken, for {state.model}", code="name_taken", hint=hint)


def _target_problems(targets: Sequence[str]) -> Iterator[Reason]:
    lowered = [target.lower() for target in targets]
    if len(targets) > MAX_TARGETS:
        yield Reason("too_many_targets", f"{len(targets)} targets", "targets", f"Name {MAX_TARGETS} at most.")
    for target in dict.fromkeys(name for i, name in enumerate(lowered) if name in lowered[:i]):
        yield Reason("named_twice", f"target {target} is named twice", "targets", "Name it once.")


def _follow(follow: str | None, around: Surroundings) -> tuple[str | None, list[Reason]]:
    """What is followed, as it is kept, and why it cannot be."""
    if follow is None:
        return None, []
    try:
        name = followed_name(follow)
    except RegistaError as error:
        return None, [Reason(error.code, error.detail, "follow", error.hint)]
    reference = parse_reference(name)
    if isinstance(reference, ByStage):
        stage = reference.stage
        if around.model is not None and stage not in around.model.policy.stages:
            hint = f"Its stages are {', '.join(around.model.policy.stages)}."
            return name, [Reason("unknown_stage", f"{around.model.name} has no stage {stage}", "follow", hint)]
        if around.environment is not None and stage not in around.environment.stages:
            hint = f"Follow one of {', '.join(around.environment.stages)}, or an alias."
            detail = f"{around.environment.name} does not serve {stage}"
            return name, [Reason("stage_not_allowed", detail, "follow", hint)]
    return name, []


def _guardrail_problems(guardrails: Sequence[e.Guardrail]) -> Iterator[Reason]:
    for i, guardrail in enumerate(guardrails):
        code, field = "bad_guardrail", f"guardrails[{i}]"
        if not guardrail.metric.strip():
            yield Reason(code, "a guardrail names no metric", field, "Name one, for example errors.")
        if _LIKE_LATENCY.fullmatch(guardrail.metric) and guardrail.metric not in LATENCIES:
            detail = f"{guardrail.metric} is measured for nobody: nothing would ever be concluded"
            yield Reason(code, detail, field, f"Of latencies there are {', '.join(sorted(LATENCIES))}.")
        if guardrail.limit not in {"maximum", "minimum"}:
            yield Reason(code, f"{guardrail.metric} has no limit", field, "Name maximum or minimum.")
        if not isfinite(guardrail.value):
            yield Reason(code, f"{guardrail.metric} has no finite value", field, "Give a number.")
        elif guardrail.metric == "errors" and not guardrail.relative_to_champion and not 0 <= guardrail.value <= 1:
            hint = "It is the share of requests that fail, from 0 to 1: errors<=0.02 for 2 %."
            yield Reason(code, f"errors cannot be {guardrail.value:g}", field, hint)
        if guardrail.minimum_samples < 1:
            hint = "Give 1 or more: nothing is concluded from nothing."
            yield Reason(code, f"{guardrail.metric} needs no samples", field, hint)


def _spelled(context: Context, targets: Sequence[str]) -> tuple[str, ...]:
    """The targets by the names they were given."""
    return tuple(context.others[target_stream(target)].name for target in targets)
