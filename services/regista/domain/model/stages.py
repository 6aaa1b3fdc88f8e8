"""Decisions on stages: promote, roll back, archive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from operator import itemgetter

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.context import need_reason
from regista.domain.errors import Invalid, Reason, Refused
from regista.domain.model.context import Context
from regista.domain.model.lookup import LISTED, check_expectation, find_version, open_model, stage_name
from regista.domain.model.state import ModelState, VersionState


def promote(state: ModelState, command: c.Promote, context: Context) -> list[e.Event]:
    """Bring a version into the next stage; the incumbent goes to the archive unless ``keep_existing``.

    Raises:
        Refused: with every reason: a skipped stage, a failed check, an incomplete import, a missing artifact.
        PreconditionFailed: when ``expect_current`` does not hold the stage.
    """
    open_model(state, command.model)
    version = find_version(state, command.ref)
    target = _known_stage(state, command.to)
    need_reason(context, "a promotion")
    stage = state.stage(target)
    check_expectation(state, command.expect_current, state.current(target), f"{target} of {state.name}")
    reasons = [*_order_objections(state, version, target), *_quality_objections(state, version, context)]
    if reasons:
        raise Refused(
            f"{state.name} {version.number} cannot go to {target}: {'; '.join(r.detail for r in reasons)}",
            code=reasons[0].code if len(reasons) == 1 else "promotion_refused",
            hint=reasons[0].hint,
            reasons=reasons,
        )
    leaving = () if command.keep_existing else tuple(sorted(stage.holders))
    return [
        e.VersionPromoted(
            model=state.name,
            version=str(version.number),
            ordinal=version.ordinal,
            artifact_digest=version.digest,
            from_stage=version.stage,
            to_stage=target,
            previous_version=_number(state, stage.current),
            displaced=_displaced(state, leaving),
            keep_existing=command.keep_existing,
        )
    ]


def roll_back(state: ModelState, command: c.RollBack, context: Context) -> list[e.Event]:
    """Bring a stage back to the holder before the present one, or to any earlier one that is named.

    No gate, check or approval stands in the way. Versions that were rolled back from are skipped, and so are those
    that went on to a later stage, which would lose them. Where the target is one of several holders, those promoted
    after it leave; else it takes the place of all.

    Raises:
        Refused: ``nothing_to_roll_back_to``, ``never_held``, ``already_in_stage``, ``in_later_stage``,
            ``artifact_missing`` (which names the next eligible version and the command).
    """
    open_model(state, command.model)
    name = _known_stage(state, command.stage)
    if not state.policy.is_held(name):
        held = " or ".join(filter(state.policy.is_held, state.policy.stages))
        raise Refused(f"{name} is not a stage to roll back", code="stage_not_held", hint=f"Name {held}.")
    need_reason(context, "a rollback")
    stage = state.stage(name)
    check_expectation(state, command.expect_current, stage.current, f"{name} of {state.name}")
    target = _named_target(state, name, command.to) if command.to is not None else _next_target(state, name)
    if target.digest in context.missing_artifacts:
        raise _artifact_missing(state, name, target, context)
    since = stage.holders.get(target.ordinal, 0)
    leaving = sorted(ordinal for ordinal, began in stage.holders.items() if began > since)
    return [
        e.VersionRolledBack(
            model=state.name,
            version=str(target.number),
            ordinal=target.ordinal,
            artifact_digest=target.digest,
            stage=name,
            from_stage=target.stage,
            previous_version=_number(state, stage.current),
            displaced=_displaced(state, tuple(leaving)),
        )
    ]


def rollback_targets(state: ModelState, name: str) -> Iterator[VersionState]:
    """The versions that a rollback of this stage would return to, the first of them first.

    They held it before the present holder; before nobody, when the last one was archived, that one comes first.
    """
    name = stage_name(name)
    stage = state.stage(name)
    tenure, current = stage.tenures, stage.current
    since = state.sequence + 1 if current is None else stage.holders[current]
    seen = {current}
    while tenure is not None:
        ordinal = tenure.ordinal
        if tenure.since < since and ordinal not in seen and ordinal not in stage.rolled_back:
            seen.add(ordinal)
            if not _moved_on(state, state.versions[ordinal], name):
                yield state.versions[ordinal]
        tenure = tenure.below


def archive(state: ModelState, command: c.Archive, context: Context) -> list[e.Event]:
    """Take a version out of the life cycle.

    Raises:
        Refused: ``already_archived``; ``leaves_empty``, when it is the only one that serves.
    """
    open_model(state, command.model)
    version = find_version(state, command.ref)
    need_reason(context, "archiving")
    if version.stage == state.policy.archive:
        raise Refused(f"{version.number} is archived already", code="already_archived", hint="There is nothing to do.")
    leaves_empty = set(state.stage(version.stage).holders) == {version.ordinal}
    if leaves_empty and version.stage == state.policy.serving and not command.leave_empty:
        raise Refused(
            f"{version.number} is the only version in {version.stage}",
            code="leaves_empty",
            hint="Promote another or roll back first, or say leave_empty.",
        )
    return [
        e.VersionArchived(
            model=state.name,
            version=str(version.number),
            ordinal=version.ordinal,
            from_stage=version.stage,
            leaves_empty=leaves_empty,
        )
    ]


def _known_stage(state: ModelState, name: str) -> str:
    known = stage_name(name)
    if known not in state.policy.stages:
        raise Invalid(
            f"{name!r} is not a stage of policy {state.policy.name}",
            code="unknown_stage",
            hint=f"Its stages are {', '.join(state.policy.stages)}.",
        )
    return known


def _moved_on(state: ModelState, version: VersionState, stage: str) -> bool:
    """Whether the version stands in a stage behind this one, the archive aside."""
    stages = state.policy.stages
    return version.stage != state.policy.archive and stages.index(version.stage) > stages.index(stage)


def _order_objections(state: ModelState, version: VersionState, target: str) -> Iterator[Reason]:
    stages = state.policy.stages
    here, there = stages.index(version.stage), stages.index(target)
    archived = version.stage == state.policy.archive
    if target == state.policy.archive:
        command = f"regista archive {state.name} {version.number} --reason …"
        yield Reason("use_archive", "archiving is a command of its own", "to", command)
    elif here == there:
        yield Reason("already_in_stage", f"{version.number} is in {target} already", "to", "There is nothing to do.")
    elif archived and there != 0:
        hint = f"Promote it to {stages[0]} first, or roll back to it."
        yield Reason("stage_skipped", f"an archived version goes to {stages[0]} first", "to", hint)
    elif not archived and there < here:
        hint = "Archive it, or roll the stage back."
        yield Reason("stage_backwards", f"{version.number} is past {target}, in {version.stage}", "to", hint)
    elif not archived and there > here + 1:
        hint = f"Promote it to {stages[here + 1]} first."
        yield Reason("stage_skipped", f"{stages[here + 1]} comes before {target}", "to", hint)


def _quality_objections(state: ModelState, version: VersionState, context: Context) -> Iterator[Reason]:
    for check, status in sorted(version.checks.items()):
        if status == "failed":
            hint = f"Report {check} as passed for {version.number}, or register a version that passes."
            yield Reason("check_failed", f"check {check} failed", "checks", hint)
    for field in version.incomplete:
        supply = "Register it anew with its artifact" if field == "artifact" else f"Supply {field}"
        hint = f"{supply}, or waive it with a reason: PATCH /v1/models/{state.name}/versions/{version.number}."
        yield Reason("incomplete", f"{field} is missing since its import", field, hint)
    if version.digest in context.missing_artifacts:
        hint = f"Upload the artifact {version.digest} again: the digest tells whether it is the same."
        yield Reason("artifact_missing", f"the bytes of {version.number} are gone", "artifact", hint)


def _named_target(state: ModelState, name: str, ref: str) -> VersionState:
    version = find_version(state, ref)
    stage = state.stage(name)
    if version.ordinal == stage.current:
        raise Refused(f"{version.number} holds {name} now", code="already_in_stage", hint="There is nothing to do.")
    if stage.held.get(version.ordinal) is None:
        earlier = ", ".join(str(v.number) for v in islice(rollback_targets(state, name), LISTED)) or "none"
        raise Refused(
            f"{version.number} never held {name}",
            code="never_held",
            hint=f"A rollback returns to an earlier holder ({earlier}); promote it instead.",
        )
    if _moved_on(state, version, name):
        raise Refused(
            f"{version.number} is in {version.stage} now, and would leave it",
            code="in_later_stage",
            hint=f"Roll {version.stage} back first, or name a version that is in no later stage.",
        )
    return version


def _next_target(state: ModelState, name: str) -> VersionState:
    target = next(rollback_targets(state, name), None)
    if target is None:
        raise Refused(
            f"{name} of {state.name} has no earlier holder to return to",
            code="nothing_to_roll_back_to",
            hint=_other_ways(state, name),
        )
    return target


def _other_ways(state: ModelState, name: str) -> str:
    """What is left where no rollback goes by itself: a holder that it skips, by name, or a promotion."""
    stage = state.stage(name)
    held = sorted(stage.held.to_dict().items(), key=itemgetter(1), reverse=True)
    skipped = (state.versions[ordinal] for ordinal, _ in held if ordinal != stage.current)
    named = next((version for version in skipped if not _moved_on(state, version, name)), None)
    if named is None:
        return "Promote another version."
    command = _rollback_command(state, name, named)
    return f"{named.number} held it too, and is returned to only by name: {command}. Or promote another."


def _rollback_command(state: ModelState, name: str, target: VersionState) -> str:
    option = "" if name == state.policy.serving else f" --stage {name}"
    return f"regista rollback {state.name}{option} --to {target.number} --reason …"


def _artifact_missing(state: ModelState, name: str, target: VersionState, context: Context) -> Refused:
    others = (v for v in rollback_targets(state, name) if v.digest not in context.missing_artifacts)
    eligible = next((v for v in others if v.ordinal != target.ordinal), None)
    command = _rollback_command(state, name, eligible) if eligible else None
    return Refused(
        f"the bytes of {state.name} {target.number} are gone",
        code="artifact_missing",
        hint=f"Next eligible: {eligible.number}. {command}" if eligible else "Upload its artifact again.",
        reasons=[Reason("artifact_missing", f"artifact {target.digest} is missing", "artifact", command)],
    )


def _number(state: ModelState, ordinal: int | None) -> str | None:
    return None if ordinal is None else str(state.versions[ordinal].number)


def _displaced(state: ModelState, ordinals: tuple[int, ...]) -> tuple[e.Displaced, ...]:
    return tuple(e.Displaced(str(state.versions[o].number), o, state.policy.archive) for o in ordinals)
