"""Decisions on what deployers and judges tell: what became of a change, and what it was found to be worth."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from regista.domain import events as e
from regista.domain.context import Context
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.lookup import called, known_endpoint, open_endpoint, refused, surroundings
from regista.domain.endpoint.state import EndpointState
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Reason
from regista.domain.model.state import ModelState, sharers
from regista.domain.references import check_digest, check_name

_VERDICTS = ("proceed", "promote", "roll_back", "inconclusive")
_STATES = ("succeeded", "failed", "superseded")
_ROLES = ("champion", "challenger", "canary", "shadow", "unknown")


def report_deployment(state: EndpointState, command: c.ReportDeployment, context: Context) -> list[e.Event]:
    """Record what became of a change on a target, also on a retired endpoint and on a target it has no more.

    Raises:
        NotFound: ``unknown_target``, ``unknown_change``.
        Invalid: ``bad_digest``, ``invalid_report``.
    """
    known_endpoint(state, command)
    check_name(command.target, "target name")
    if command.target.lower() not in state.ever_targets:
        raise NotFound(
            f"{called(state)} is not deployed to {command.target}",
            code="unknown_target",
            hint=f"Its targets are {', '.join(state.targets) or 'none'}.",
        )
    if not state.was_change(command.change):
        raise NotFound(
            f"event {command.change} of {called(state)} changed nothing that is served",
            code="unknown_change",
            hint="Name the sequence of the change that was deployed.",
        )
    if reasons := list(_report_problems(command)):
        raise Invalid(reasons[0].detail, code="invalid_report", hint=reasons[0].hint, reasons=reasons)
    model = surroundings(context, state.environment, state.model).model
    newest = state.reports.get(command.target.lower())
    names = {target.lower(): target for target in state.targets}
    return [
        e.DeploymentReported(
            environment=state.environment,
            endpoint=state.name,
            model=state.model,
            target=names.get(command.target.lower(), command.target),
            change=command.change,
            state=command.state,
            observed=tuple(
                e.Observed(
                    _version_of(state, model, seen),
                    seen.artifact_digest,
                    seen.role,
                    seen.weight,
                    seen.mirror,
                    seen.region,
                )
                for seen in command.observed
            ),
            detail=command.detail,
            attempts=command.attempts,
            previous_change=None if newest is None else newest.change,
            previous_state=None if newest is None else newest.state,
        )
    ]


def conclude_experiment(state: EndpointState, command: c.ConcludeExperiment, _: Context) -> list[e.Event]:
    """Record a verdict on the present change. It changes nothing by itself: what follows is a command of its own.

    Raises:
        PreconditionFailed: ``change_outdated``, when another change came since; ``step_outdated``.
        Refused: ``conclusion_refused`` with every reason; ``already_concluded``, once a verdict was given that does not
            leave it open. What was good so far can still turn out to do harm: after ``proceed`` and ``promote`` a
            ``roll_back`` is taken.
        Invalid: ``invalid_measurement``.
    """
    open_endpoint(state, command)
    if command.change != state.change:
        raise PreconditionFailed(
            f"change {command.change} of {called(state)} is not the newest: that is {state.change or 'none'}",
            code="change_outdated",
            hint="There is nothing to do: what is served now was not judged.",
        )
    step = None if state.canary is None else state.canary.step
    if command.step is not None and command.step != step:
        raise PreconditionFailed(
            f"{called(state)} stands at step {step or 'none'}, not {command.step}",
            code="step_outdated",
            hint="There is nothing to do: the step it stands at was not judged.",
        )
    if reasons := list(_measurement_problems(state, command)):
        raise Invalid(reasons[0].detail, code="invalid_measurement", hint=reasons[0].hint, reasons=reasons)
    if reasons := list(_conclusion_problems(state, command)):
        raise refused(f"change {command.change} of {called(state)} is not concluded", reasons, "conclusion_refused")
    return [
        e.ExperimentConcluded(
            environment=state.environment,
            endpoint=state.name,
            model=state.model,
            change=command.change,
            step=step,
            verdict=command.verdict,
            measured=command.measured,
            explanation=command.explanation,
            previous_verdict=state.concluded,
        )
    ]


def _report_problems(command: c.ReportDeployment) -> Iterator[Reason]:
    if command.state not in _STATES:
        yield Reason(
            "bad_state", f"{command.state} is no state of a deployment", "state", f"Name {', '.join(_STATES)}."
        )
    if command.attempts < 0:
        yield Reason("bad_attempts", "attempts are counted from 0", "attempts", "Give 0 or more.")
    for i, seen in enumerate(command.observed):
        check_digest(seen.artifact_digest, f"observed[{i}].artifact_digest")
        if seen.role not in _ROLES:
            yield Reason("bad_role", f"{seen.role} is no role", f"observed[{i}].role", f"Name {', '.join(_ROLES)}.")
        if seen.weight < 0 or seen.mirror < 0:
            yield Reason("bad_weight", "a share is 0 or more", f"observed[{i}].weight", "Give hundredths of a percent.")


def _version_of(state: EndpointState, model: ModelState | None, seen: c.ObservedVariant) -> str | None:
    """The version that has the digest: the one that is to be served, of several; else the newest."""
    for variant in state.variants:
        if variant.artifact_digest == seen.artifact_digest:
            return variant.version
    sharing = None if model is None else model.digests.get(seen.artifact_digest)
    if model is None or sharing is None:
        return None
    whole = (model.versions[ordinal] for ordinal in sharers(sharing))
    return next((str(version.number) for version in whole if version.digest == seen.artifact_digest), None)


def _measurement_problems(state: EndpointState, command: c.ConcludeExperiment) -> Iterator[Reason]:
    if command.verdict not in _VERDICTS:
        yield Reason("bad_verdict", f"{command.verdict} is no verdict", "verdict", f"Name {', '.join(_VERDICTS)}.")
    served = {variant.version for variant in state.variants}
    for i, measured in enumerate(command.measured):
        field = f"measured[{i}]"
        if measured.version not in served:
            hint = f"Name one of {', '.join(sorted(served))}, as a number."
            yield Reason("unknown_variant", f"{measured.version[:160]} is not served", field, hint)
        if not measured.metric.strip():
            yield Reason("bad_metric", "a measurement names no metric", field, "Name it.")
        if not (isfinite(measured.value) and isfinite(measured.limit or 0.0)) or measured.samples < 0:
            yield Reason("bad_metric", f"{measured.metric} is not a finite number of samples", field, "Give numbers.")


def _conclusion_problems(state: EndpointState, command: c.ConcludeExperiment) -> Iterator[Reason]:
    roles = {variant.role for variant in state.variants}
    if roles <= {"champion"}:
        hint = "Change the traffic to a set with a canary, a challenger or a shadow first."
        yield Reason("no_experiment", "the champion is served alone", "change", hint)
        return
    turned = command.verdict == "roll_back" and state.concluded in {"proceed", "promote"}
    if state.concluded not in {None, "inconclusive"} and not turned:
        hint = "Change the traffic, or roll back, as the verdict says."
        yield Reason("already_concluded", f"the verdict was {state.concluded}", "verdict", hint)
    if command.verdict == "promote" and not roles & {"canary", "challenger"}:
        hint = "Give it traffic first."
        yield Reason("no_candidate", "there is neither a canary nor a challenger to promote", "verdict", hint)
    if command.verdict == "proceed":
        if state.canary is None:
            yield Reason("no_canary", "there is no schedule to proceed with", "verdict", "Conclude with promote.")
        elif state.canary.step == len(state.canary.steps):
            yield Reason("last_step", "the canary stands at its last step", "verdict", "Conclude with promote.")
