"""What the metadata of a version must hold: what is missing, and what is there but wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from typing import Protocol

from regista.domain.commands import RegisterVersion
from regista.domain.errors import Invalid, Reason
from regista.domain.metadata import Code, Dataset, Evaluation, FeatureSet, Scalar, Signature
from regista.domain.model.context import KnownArtifact
from regista.domain.policy import REQUIRED
from regista.domain.references import MAX_IDENTIFIER, check_digest, is_identifier
from regista.domain.signatures import contradictions

_INT64 = range(-(2**63), 2**63)
_SIZES = range(2**63)
_ORDINALS = range(1, 2**31)
_LISTED = 20


class Supplies(Protocol):
    """A command that brings required metadata: a registration, or what completes one."""

    @property
    def code(self) -> Code | None:
        """The training code."""

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The data sets."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics."""

    @property
    def author(self) -> str | None:
        """Who trained it."""

    @property
    def trained_at(self) -> datetime | None:
        """When."""


_SUPPLIED: dict[str, Callable[[Supplies], bool]] = {
    "code": lambda s: s.code is not None and bool(s.code.commit or s.code.snapshot),
    "datasets": lambda s: bool(s.datasets),
    "metrics": lambda s: bool(s.metrics),
    "trained_at": lambda s: s.trained_at is not None,
    "author": lambda s: bool(s.author),
}


def supplied_fields(command: Supplies) -> set[str]:
    """The required metadata that the command brings, the artifact aside."""
    return {field for field, there in _SUPPLIED.items() if there(command)}


def missing_metadata(command: RegisterVersion, artifact: KnownArtifact) -> list[Reason]:
    """A reason for every required field that is not there, each with the way to supply it."""
    there = supplied_fields(command)
    if command.evaluations:
        there.add("metrics")
    if artifact.artifact is not None or artifact.problems:
        there.add("artifact")
    return [
        Reason("missing", f"{required.field} is required", required.field, required.hint)
        for required in REQUIRED
        if required.field not in there
    ]


def metadata_problems(command: RegisterVersion, artifact: KnownArtifact) -> list[Reason]:
    """A reason for everything that is there but wrong."""
    return [
        *artifact.problems,
        *artifact.code_problems,
        *supplied_problems(command),
        *_evaluations(command.evaluations),
        *(reason for i, feature in enumerate(command.features) for reason in _pinned(feature, f"features[{i}]")),
        *_scalars(command.params, "params"),
        *_scalars(command.configuration, "configuration"),
        *_signature(command.signature),
        *_mismatches(command.signature, artifact.signature),
        *_nameless(command),
        *_numbers(command),
    ]


def supplied_problems(command: Supplies) -> list[Reason]:
    """The problems of what completes an import as well as a registration."""
    return [
        *_code(command.code),
        *(reason for i, data in enumerate(command.datasets) for reason in _pinned(data, f"datasets[{i}]")),
        *metric_problems(command.metrics, "metrics"),
        *_author(command.author),
        *_time(command.trained_at),
    ]


def evaluation_problems(evaluation: Evaluation, path: str = "") -> Iterator[Reason]:
    """The problems of an evaluation, whose fields stand below ``path``. Its data set need not be pinned, only named."""
    if not evaluation.metrics:
        yield Reason("empty", f"{path}metrics is empty", f"{path}metrics", "Give at least one metric.")
    yield from metric_problems(evaluation.metrics, f"{path}metrics")
    if evaluation.dataset is not None and not evaluation.dataset.name.strip():
        yield Reason("empty_name", f"{path}dataset.name is empty", f"{path}dataset.name", "Name it, or leave it out.")


def metric_problems(metrics: Mapping[str, float], field: str) -> Iterator[Reason]:
    """A reason for every metric that is no finite number."""
    for name, value in metrics.items():
        if not _is_finite(value):
            yield Reason(
                "not_finite",
                f"{field}.{name} is no finite number of 64 bits",
                f"{field}.{name}",
                "Leave out what was not measured.",
            )


def identifier_problem(value: str, field: str) -> Reason | None:
    """The reason why a text is no identifier of a person or service; None where it is one."""
    if is_identifier(value):
        return None
    hint = f"1 to {MAX_IDENTIFIER} characters without blanks, an id such as m.rossi or ci/train: names are not kept."
    return Reason("bad_identifier", f"{field} is no identifier", field, hint)


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer over every float
        return False


def _code(code: Code | None) -> Iterator[Reason]:
    if code is None:
        return
    if code.snapshot is not None:
        yield from _digest(code.snapshot, "code.snapshot")
    if code.commit is not None and (problem := identifier_problem(code.commit, "code.commit")):
        yield problem


def _pinned(data: Dataset | FeatureSet, field: str) -> Iterator[Reason]:
    if not data.name.strip():
        yield Reason("empty_name", f"{field}.name is empty", f"{field}.name", "Name it.")
    if not data.version and not data.digest:
        hint = "Give version or digest: a name alone does not say which data it was."
        yield Reason("not_pinned", f"{field} ({data.name}) has neither version nor digest", field, hint)


def _evaluations(evaluations: tuple[Evaluation, ...]) -> Iterator[Reason]:
    for i, evaluation in enumerate(evaluations):
        yield from evaluation_problems(evaluation, f"evaluations[{i}].")


def _author(author: str | None) -> Iterator[Reason]:
    if author and (problem := identifier_problem(author, "author")):
        yield problem


def _time(moment: datetime | None) -> Iterator[Reason]:
    if moment is None:
        return
    if moment.utcoffset() is None:
        yield Reason("no_zone", "trained_at has no zone", "trained_at", "Write 2026-05-04T12:00:00Z or +02:00.")
        return
    try:
        moment.astimezone(UTC)
    except OverflowError:
        yield Reason("out_of_range", "trained_at lies outside the years 1 to 9999", "trained_at", "Give the real time.")


def _digest(digest: str, field: str) -> Iterator[Reason]:
    try:
        check_digest(digest, field)
    except Invalid as error:
        yield Reason(error.code, error.detail, field, error.hint)


def _scalars(values: Mapping[str, Scalar], field: str) -> Iterator[Reason]:
    for name, value in values.items():
        if isinstance(value, float) and not isfinite(value):
            yield Reason("not_finite", f"{field}.{name} is {value}", f"{field}.{name}", "Write it as text.")
        elif isinstance(value, int) and value not in _INT64:
            yield Reason("too_long", f"{field}.{name} needs more than 64 bits", f"{field}.{name}", "Write it as text.")


def _signature(signature: Signature | None) -> Iterator[Reason]:
    if signature is None:
        return
    for side, fields in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        names = [field.name for field in fields]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Reason("duplicate", f"signature.{side} names {name} twice", f"signature.{side}", "Name each once.")
        for i, field in enumerate(fields):
            if any(size is not None and size not in _SIZES for size in field.shape or ()):
                where = f"signature.{side}[{i}].shape"
                yield Reason("bad_shape", f"{where} is no shape", where, "Sizes are 0 or more, null where any will do.")


def _mismatches(declared: Signature | None, read: Signature | None) -> Iterator[Reason]:
    """A reason for everything declared that the artifact's bytes belie; the first of many."""
    if declared is None or read is None:
        return
    hint = "Leave signature out: it is read from the bytes. Or declare what the model has."
    for field, detail in islice(contradictions(declared, read), _LISTED):
        yield Reason("signature_mismatch", detail, field, hint)


def _nameless(command: RegisterVersion) -> Iterator[Reason]:
    """A reason for every empty text where something must be told from others by it."""
    run, signature = command.run, command.signature
    named = [("run.tracker", run.tracker), ("run.id", run.id)] if run is not None else []
    for side, tensors in (("inputs", signature.inputs), ("outputs", signature.outputs)) if signature else ():
        named += [(f"signature.{side}[{i}].name", tensor.name) for i, tensor in enumerate(tensors)]
        named += [(f"signature.{side}[{i}].type", tensor.type) for i, tensor in enumerate(tensors)]
    for i, code in enumerate(command.related_code):
        named += [(f"related_code[{i}].role", code.role), (f"related_code[{i}].commit", code.commit)]
    named += [(f"parents[{i}].relation", parent.relation) for i, parent in enumerate(command.parents)]
    named += [(f"dependencies[{i}].role", dependency.role) for i, dependency in enumerate(command.dependencies)]
    for field, text in named:
        if not text.strip():
            yield Reason("empty_name", f"{field} is empty", field, "Name it.")


def _numbers(command: RegisterVersion) -> Iterator[Reason]:
    seed = command.runtime.seed if command.runtime is not None else None
    if seed is not None and seed not in _INT64:
        yield Reason("too_long", "runtime.seed needs more than 64 bits", "runtime.seed", "Give one that fits.")
    if command.ordinal is not None and command.ordinal not in _ORDINALS:
        yield Reason("out_of_range", f"{command.ordinal} is no ordinal", "ordinal", "Ordinals start at 1.")
