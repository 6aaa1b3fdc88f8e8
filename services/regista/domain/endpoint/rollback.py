"""Decisions on rollbacks: what was served before is served again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from regista.domain import events as e
from regista.domain.context import Context, need_reason
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.lookup import called, check_expected_change, open_endpoint, refused
from regista.domain.endpoint.state import KEPT, Change, EndpointState, rollback_targets
from regista.domain.environment.state import EnvironmentState
from regista.domain.errors import NotFound, Reason, Refused
from regista.domain.references import environment_stream

_LISTED = 5


def roll_back_endpoint(state: EndpointState, command: c.RollBackEndpoint, context: Context) -> list[e.Event]:
    """Serve again what was served before the present change, or what a named change said.

    No stage, check or archive stands in the way: what was let in once is let in again. Changes that were rolled back
    from are skipped, and so are the steps of a canary's schedule; both can be named.

    Raises:
        Refused: ``nothing_to_roll_back_to``, ``already_served``; ``artifact_missing`` and ``bad_region`` with every
            reason, naming the next change that can be returned to.
        NotFound: ``unknown_change``.
        PreconditionFailed: ``expectation_failed``.
    """
    open_endpoint(state, command)
    need_reason(context, "a rollback")
    check_expected_change(state, command.expect_change)
    target = _next(state) if command.to is None else _named(state, command.to)
    environment = context.others.get(environment_stream(state.environment))
    place = environment if isinstance(environment, EnvironmentState) and environment.exists else None
    reasons = list(restoration_problems(target.variants, place, context.missing_artifacts))
    if reasons:
        raise _hindered(state, target, place, reasons, context)
    return [rolled_back(state, target.variants, target.origin)]


def rolled_back(state: EndpointState, variants: tuple[e.Variant, ...], restores: int) -> e.EndpointRolledBack:
    """The event of a set that is served again."""
    return e.EndpointRolledBack(
        environment=state.environment,
        endpoint=state.name,
        model=state.model,
        variants=variants,
        restores=restores,
        previous=state.variants,
        previous_canary=state.canary,
        previous_change=state.change,
    )


def restoration_problems(
    variants: tuple[e.Variant, ...], environment: EnvironmentState | None, missing_artifacts: frozenset[str]
) -> Iterator[Reason]:
    """Why a set that was served once cannot be served any more: its bytes are gone, or the region is."""
    for digest, version in {
        v.artifact_digest: v.version for v in variants if v.artifact_digest in missing_artifacts
    }.items():
        hint = f"Upload the artifact {digest} again: the digest tells whether it is the same."
        yield Reason("artifact_missing", f"the bytes of {version} are gone", "artifact", hint)
    if environment is not None:
        for region in dict.fromkeys(v.region for v in variants if v.region not in environment.places):
            where = "an environment without regions" if region is None else f"region {region}"
            hint = f"PUT /v1/environments/{environment.name} with the regions of then, or change the traffic."
            yield Reason("bad_region", f"it was served in {where}", "variants", hint)


def _next(state: EndpointState) -> Change:
    target = next(rollback_targets(state), None)
    if target is None:
        others = [change.sequence for change in state.history[:-1] if change.variants != state.variants]
        named = f"{others[-1]} can be named: {_command(state, others[-1])}. Or change" if others else "Change"
        raise Refused(
            f"{called(state)} has no earlier change to return to",
            code="nothing_to_roll_back_to",
            hint=f"{named} the traffic.",
        )
    return target


def _named(state: EndpointState, sequence: int) -> Change:
    change = state.find(sequence)
    if change is None:
        newest = ", ".join(str(target.sequence) for target in islice(rollback_targets(state), _LISTED)) or "none"
        raise NotFound(
            f"{called(state)} remembers no change {sequence}",
            code="unknown_change",
            hint=f"A rollback returns to one of the last {KEPT} (first {newest}); for others change the traffic.",
        )
    if change.variants == state.variants:
        raise Refused(
            f"{called(state)} serves what change {sequence} said", code="already_served", hint="There is nothing to do."
        )
    return change


def _hindered(
    state: EndpointState, target: Change, place: EnvironmentState | None, reasons: list[Reason], context: Context
) -> Refused:
    others = (
        change.sequence
        for change in rollback_targets(state)
        if change.sequence != target.sequence
        and not any(restoration_problems(change.variants, place, context.missing_artifacts))
    )
    eligible = next(others, None)
    error = refused(f"{called(state)} cannot return to change {target.sequence}", reasons, "rollback_refused")
    if eligible is not None:
        error.hint = f"Next eligible: change {eligible}. {_command(state, eligible)}"
    return error


def _command(state: EndpointState, sequence: int) -> str:
    return f"regista rollback {called(state)} --to {sequence} --reason …"
