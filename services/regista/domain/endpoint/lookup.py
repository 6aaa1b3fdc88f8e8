"""What endpoints stand among (environment, model, targets), and the checks that many commands share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from regista.domain.commands import UNSET
from regista.domain.context import Context
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.state import EndpointState
from regista.domain.environment.state import EnvironmentState
from regista.domain.errors import NotFound, PreconditionFailed, Reason, Refused, Retired
from regista.domain.model.state import ModelState
from regista.domain.references import environment_stream, model_stream, target_stream


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment and the model of an endpoint; None where there is none."""

    environment: EnvironmentState | None
    model: ModelState | None


def named_streams(state: EndpointState, command: c.Command) -> list[str]:
    """The other streams that a decision reads, or that ``entering`` does: their states belong into the context.

    Raises:
        Invalid: ``bad_name``.
    """
    environment = environment_stream(command.environment)
    match command:
        case c.CreateEndpoint():
            return _unique([environment, model_stream(command.model), *map(target_stream, command.targets)])
        case c.ConcludeExperiment() | c.RetireEndpoint():
            return []
    model = [model_stream(state.model)] if state.exists else []
    match command:
        case c.UpdateEndpoint(targets=tuple(targets)):
            return _unique([environment, *model, *map(target_stream, targets)])
        case c.UpdateEndpoint() | c.ChangeTraffic() | c.FollowVersion():
            return _unique([environment, *model, *map(target_stream, state.targets)])
        case c.RollBackEndpoint():
            return [environment, *model]
        case c.ReportDeployment():
            return model


def surroundings(context: Context, environment: str, model: str) -> Surroundings:
    """The environment and the model, as far as they exist."""
    place = context.others.get(environment_stream(environment))
    served = context.others.get(model_stream(model))
    return Surroundings(
        place if isinstance(place, EnvironmentState) and place.exists else None,
        served if isinstance(served, ModelState) and served.exists else None,
    )


def surroundings_problems(
    context: Context, around: Surroundings, environment: str, model: str, targets: Iterable[str]
) -> Iterator[Reason]:
    """A reason for everything that an endpoint needs around it and that is not there."""
    if around.environment is None:
        hint = f"PUT /v1/environments/{environment} defines it."
        yield Reason("unknown_environment", f"there is no environment {environment}", "environment", hint)
    if around.model is None:
        hint = f"POST /v1/models with name {model!r} registers it."
        yield Reason("unknown_model", f"there is no model {model}", "model", hint)
    elif around.model.retired:
        hint = f"regista revive {around.model.name} makes it take writes again."
        yield Reason("model_retired", f"model {around.model.name} is retired", "model", hint)
    for target in targets:
        found = context.others.get(target_stream(target))
        if found is None or not found.exists:
            hint = f"PUT /v1/targets/{target} creates it; PATCH /v1/endpoints/… with other targets leaves it out."
            yield Reason("unknown_target", f"there is no target {target}", "targets", hint)


def open_endpoint(state: EndpointState, command: c.Command) -> None:
    """Check that the endpoint exists and takes writes.

    Raises:
        NotFound: ``unknown_endpoint``.
        Retired: ``endpoint_retired``.
    """
    known_endpoint(state, command)
    if state.retired:
        raise Retired(
            f"endpoint {called(state)} is retired",
            code="endpoint_retired",
            hint=f"POST /v1/endpoints creates it anew, for {state.model}.",
        )


def known_endpoint(state: EndpointState, command: c.Command) -> None:
    """Check that the endpoint exists, retired or not.

    Raises:
        NotFound: ``unknown_endpoint``.
    """
    if not state.exists:
        raise NotFound(
            f"there is no endpoint {command.environment}/{command.endpoint}",
            code="unknown_endpoint",
            hint="POST /v1/endpoints creates it; GET /v1/endpoints lists those there are.",
        )


def check_expected_change(state: EndpointState, expected: c.ChangeExpectation) -> None:
    """Check that the newest change is the one that the caller believes it to be.

    Raises:
        PreconditionFailed: ``expectation_failed``, naming the one it is.
    """
    if expected is UNSET or expected == state.change:
        return
    there = "no change" if state.change is None else f"change {state.change}"
    raise PreconditionFailed(
        f"the newest of {called(state)} is {there}, not {'none' if expected is None else expected}",
        code="expectation_failed",
        hint="Somebody was faster. Look again, and decide anew.",
    )


def refused(what: str, reasons: list[Reason], code: str) -> Refused:
    """The refusal that tells every reason; ``code`` where there are several."""
    return Refused(
        f"{what}: {'; '.join(reason.detail for reason in reasons)}",
        code=reasons[0].code if len(reasons) == 1 else code,
        hint=reasons[0].hint,
        reasons=reasons,
    )


def called(state: EndpointState) -> str:
    """The endpoint as people write it."""
    return f"{state.environment}/{state.name}"


def _unique(streams: list[str]) -> list[str]:
    return list(dict.fromkeys(streams))
