"""A rollback of a whole environment: a decision over the streams of all its endpoints, and of the models they serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from regista.domain import events as e
from regista.domain.context import Context, State, need_reason
from regista.domain.endpoint.lookup import called
from regista.domain.endpoint.rollback import restoration_problems, rolled_back
from regista.domain.endpoint.state import EndpointState
from regista.domain.environment.commands import RollBackEnvironment
from regista.domain.environment.state import EnvironmentState
from regista.domain.errors import NotFound, Reason, Refused
from regista.domain.model import ModelState, evolve
from regista.domain.references import environment_stream
from regista.domain.texts import check_texts

_JUDGED_ELSEWHERE = frozenset({"environment"})
_SHOWN = 3
_StreamEvent = tuple[str, e.Event]


@dataclass(slots=True)
class _Plan:
    """What is to happen, in the order of the atomic set, and all that hinders it."""

    events: list[_StreamEvent] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)


def roll_back_environment(
    command: RollBackEnvironment, now: Mapping[str, State], then: Mapping[str, State], context: Context
) -> list[_StreamEvent]:
    """The events, each with its stream, that bring endpoints and stages back to what they were: one atomic set.

    ``now`` and ``then`` are the states, by stream, of the environment, of all its endpoints and of the models that
    these serve; in ``then`` those that were there at the moment. The stages are those that the environment serves now;
    their holders are compared as a set. What is as it was is left alone, and so is what was nothing then (an endpoint
    without traffic, a stage without a holder): there is nothing to return to.

    The environment must have been there then. An endpoint that has been retired since hinders, as do lost artifacts, regions that are gone, retired models, and
    versions that went on to a later stage which the environment does not serve.

    Raises:
        NotFound: ``unknown_environment``.
        Refused: ``not_there_then``; ``as_it_was``, when nothing is to be done; else every hindrance of every stream.
        Invalid: ``reason_required``, ``invalid_text``.
    """
    if not context.plain:
        check_texts(command, context.reason, _JUDGED_ELSEWHERE)
    environment = _known(now, command.environment)
    need_reason(context, "a rollback")
    _check_was_there(command, environment, then)
    plan, models, left = _Plan(), set[str](), list[str]()
    for stream, state, before in _endpoints(environment, now, then):
        models.add(state.model.lower())
        if before is None and state.present is not None:
            left.append(called(state))
        if before is not None:
            _roll_back_endpoint(plan, stream, state, before, environment, context)
    for stream, model in sorted(now.items()):
        was = then.get(stream)
        if isinstance(model, ModelState) and isinstance(was, ModelState) and model.name.lower() in models:
            _roll_back_stages(plan, stream, model, was, environment, context)
    if plan.reasons:
        raise _hindered(command, list(dict.fromkeys(plan.reasons)))
    if not plan.events:
        raise Refused(
            f"environment {environment.name} is as it was at {command.at}",
            code="as_it_was",
            hint=f"What served nothing then is left alone: {', '.join(left)}." if left else "There is nothing to do.",
        )
    return plan.events


def _known(now: Mapping[str, State], name: str) -> EnvironmentState:
    environment = now.get(environment_stream(name))
    if not isinstance(environment, EnvironmentState) or not environment.exists:
        raise NotFound(
            f"there is no environment {name}",
            code="unknown_environment",
            hint="GET /v1/environments lists those there are.",
        )
    return environment


def _check_was_there(command: RollBackEnvironment, environment: EnvironmentState, then: Mapping[str, State]) -> None:
    before = then.get(environment_stream(environment.name))
    if not isinstance(before, EnvironmentState) or not before.exists:
        raise Refused(
            f"there was no environment {environment.name} at {command.at}",
            code="not_there_then",
            hint=f"GET /v1/events?stream={environment_stream(environment.name)} says since when there is.",
        )


def _endpoints(
    environment: EnvironmentState, now: Mapping[str, State], then: Mapping[str, State]
) -> Iterator[tuple[str, EndpointState, EndpointState | None]]:
    """The endpoints that serve now, or served then, as they are and as they were."""
    for stream, state in sorted(now.items()):
        if isinstance(state, EndpointState) and state.environment.lower() == environment.name.lower():
            before = then.get(stream)
            served = before if isinstance(before, EndpointState) and before.present is not None else None
            if served is not None or not state.retired:
                yield stream, state, served


def _roll_back_endpoint(
    plan: _Plan, stream: str, now: EndpointState, then: EndpointState, environment: EnvironmentState, context: Context
) -> None:
    same = now.change == then.change or (now.variants == then.variants and now.canary is None)
    if then.present is None or same:
        return
    if now.retired:
        hint = f"POST /v1/endpoints creates {called(now)} anew, for {now.model}; then roll back again."
        plan.reasons.append(Reason("endpoint_retired", f"{called(now)} is retired", stream, hint))
        return
    problems = list(restoration_problems(then.variants, environment, context.missing_artifacts))
    plan.reasons += [Reason(p.code, f"{called(now)}: {p.detail}", stream, p.hint) for p in problems]
    if not problems:
        plan.events.append((stream, rolled_back(now, then.variants, then.present.origin)))


def _roll_back_stages(
    plan: _Plan, stream: str, now: ModelState, then: ModelState, environment: EnvironmentState, context: Context
) -> None:
    """Later stages first: what leaves one for the archive may be what an earlier one gets back.

    Hindered or not, each is thought through: a stage hinders for what it is, not for what went before it.
    """
    for stage in reversed(now.policy.stages):
        if stage not in environment.stages or not now.policy.is_held(stage) or not then.stage(stage).holders:
            continue
        plan.reasons += _stage_problems(stream, now, then, stage, environment, context)
        for event in _stage_events(now, then, stage):
            plan.events.append((stream, event))
            now = evolve(now, event)


def _stage_problems(
    stream: str, now: ModelState, then: ModelState, stage: str, environment: EnvironmentState, context: Context
) -> Iterator[Reason]:
    wanted, there = set(then.stage(stage).holders), set(now.stage(stage).holders)
    if wanted == there:
        return
    if now.retired:
        hint = f"regista revive {now.name} makes it take writes again."
        yield Reason("model_retired", f"model {now.name} is retired", stream, hint)
    stages = now.policy.stages
    for ordinal in sorted(wanted - there):
        version = now.versions[ordinal]
        if version.digest in context.missing_artifacts:
            hint = f"Upload the artifact {version.digest} again: the digest tells whether it is the same."
            detail = f"{now.name}: the bytes of {version.number} are gone"
            yield Reason("artifact_missing", detail, stream, hint)
        elsewhere = version.stage not in (now.policy.archive, *environment.stages)
        if elsewhere and stages.index(version.stage) > stages.index(stage):
            hint = f"Roll {version.stage} back first: regista rollback {now.name} --stage {version.stage} --reason …"
            detail = f"{now.name}: {version.number} is in {version.stage}, and would leave it"
            yield Reason("in_later_stage", detail, stream, hint)


def _stage_events(now: ModelState, then: ModelState, stage: str) -> Iterator[e.VersionRolledBack]:
    """One event for each holder that comes back, those that held it last coming last; those that go leave by the first.

    Where none comes back and some go, the newest of then says so.
    """
    present = now.stage(stage)
    wanted = then.stage(stage).holders
    leaving = sorted(set(present.holders) - set(wanted))
    coming = sorted(set(wanted) - set(present.holders), key=lambda ordinal: now.stage(stage).held[ordinal])
    if not coming and leaving:
        coming = [max(wanted, key=wanted.__getitem__)]
    previous = None if present.current is None else str(now.versions[present.current].number)
    for ordinal in coming:
        version = now.versions[ordinal]
        yield e.VersionRolledBack(
            model=now.name,
            version=str(version.number),
            ordinal=ordinal,
            artifact_digest=version.digest,
            stage=stage,
            from_stage=version.stage,
            previous_version=previous,
            displaced=tuple(e.Displaced(str(now.versions[o].number), o, now.policy.archive) for o in leaving),
        )
        leaving, previous = [], str(version.number)


def _hindered(command: RollBackEnvironment, reasons: list[Reason]) -> Refused:
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return Refused(
        f"environment {command.environment} stays as it is: "
        f"{'; '.join(reason.detail for reason in reasons[:_SHOWN])}{more}",
        code=reasons[0].code if len(reasons) == 1 else "rollback_refused",
        hint=reasons[0].hint,
        reasons=reasons,
    )
