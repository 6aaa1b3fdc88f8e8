"""Decisions on what is known of a version after its registration: description, completion, evaluations, checks."""

from __future__ import annotations

from collections.abc import Iterator

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.context import need_reason
from regista.domain.errors import Invalid, Reason, Refused
from regista.domain.metadata import Evaluation
from regista.domain.model.context import Context
from regista.domain.model.lookup import find_version, open_model
from regista.domain.model.metadata_rules import evaluation_problems, supplied_fields, supplied_problems
from regista.domain.model.models import nothing_to_change, split_tags
from regista.domain.model.state import ModelState, VersionState
from regista.domain.policy import REQUIRED
from regista.domain.references import check_name


def update_version(state: ModelState, command: c.UpdateVersion, context: Context) -> list[e.Event]:
    """Change what describes a version, and complete what an import left open.

    Raises:
        Refused: ``already_recorded``, for metadata that the version has: what was recorded stays as it was.
        Invalid: ``nothing_to_change``, ``invalid_metadata``, ``reason_required`` where something is waived.
    """
    open_model(state, command.model)
    version = find_version(state, command.ref)
    tags_set, tags_removed = split_tags(command.tags)
    supplied = supplied_fields(command)
    given = command.code is not None or command.author is not None
    described = command.description is not None or command.model_card is not None or tags_set or tags_removed
    if not (described or supplied or given or command.waive):
        raise nothing_to_change()
    if problems := [*context.artifact.code_problems, *supplied_problems(command), *_half_supplied(command, supplied)]:
        raise Invalid(
            "what was supplied does not hold",
            code="invalid_metadata",
            hint="Each reason says how to mend it.",
            reasons=problems,
        )
    _check_completion(version, supplied | set(command.waive))
    if command.waive:
        need_reason(context, "waiving required metadata")
    open_fields = tuple(f for f in version.incomplete if f not in supplied and f not in command.waive)
    return [
        e.VersionUpdated(
            model=state.name,
            version=str(version.number),
            ordinal=version.ordinal,
            description=command.description,
            tags_set=tags_set,
            tags_removed=tags_removed,
            model_card=command.model_card,
            supplied=_supplied(command) if supplied else None,
            waived=tuple(sorted(set(command.waive))),
            incomplete=open_fields,
        )
    ]


def _half_supplied(command: c.UpdateVersion, supplied: set[str]) -> Iterator[Reason]:
    """What was given but does not supply its field, and what was both supplied and waived."""
    for required in REQUIRED:
        if getattr(command, required.field, None) not in (None, (), {}) and required.field not in supplied:
            yield Reason("missing", f"{required.field} lacks what counts", required.field, required.hint)
    for field in sorted(supplied.intersection(command.waive)):
        yield Reason("supplied_and_waived", f"{field} was both supplied and waived", field, "Do one of both.")


def _check_completion(version: VersionState, fields: set[str]) -> None:
    settled = sorted(fields - set(version.incomplete))
    if settled:
        raise Refused(
            f"{', '.join(settled)} of {version.number} cannot be changed: only what an import left open can be completed",
            code="already_recorded",
            hint="Register a new version; description, tags and model card may change.",
            reasons=[Reason("already_recorded", f"{field} is not open", field) for field in settled],
        )


def _supplied(command: c.UpdateVersion) -> e.Supplied:
    return e.Supplied(
        code=command.code,
        datasets=command.datasets,
        metrics={name: float(value) for name, value in command.metrics.items()},
        author=command.author,
        trained_at=command.trained_at,
    )


def record_evaluation(state: ModelState, command: c.RecordEvaluation, _: Context) -> list[e.Event]:
    """Add metrics to a version.

    Raises:
        Invalid: ``invalid_metadata``, when a metric is no finite number or there is none, or the data set has no name.
    """
    open_model(state, command.model)
    version = find_version(state, command.ref)
    problems = list(evaluation_problems(Evaluation(command.dataset, command.slice, command.metrics)))
    if problems:
        raise Invalid(
            "the evaluation does not hold",
            code="invalid_metadata",
            hint="Each reason says how to mend it.",
            reasons=problems,
        )
    return [
        e.EvaluationRecorded(
            model=state.name,
            version=str(version.number),
            ordinal=version.ordinal,
            dataset=command.dataset,
            slice=command.slice,
            metrics={name: float(value) for name, value in command.metrics.items()},
        )
    ]


def report_check(state: ModelState, command: c.ReportCheck, _: Context) -> list[e.Event]:
    """Report the newest status of a check."""
    open_model(state, command.model)
    version = find_version(state, command.ref)
    check_name(command.check, "check name")
    previous = version.checks.get(command.check)
    return [
        e.CheckReported(
            model=state.name,
            version=str(version.number),
            ordinal=version.ordinal,
            check=command.check,
            status=command.status,
            previous_status=previous,
            url=command.url,
            summary=command.summary,
        )
    ]
