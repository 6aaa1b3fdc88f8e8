"""The commands of the model stream: what somebody asks for. ``decide`` answers with events or a refusal.

A version is named by a reference (``regista.domain.references``). ``UNSET`` marks what a partial update leaves alone
and a precondition that was not given; None then means what it says: cleared, or nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, Literal, TypeAlias

from regista.domain.events import CheckStatus, Origin
from regista.domain.metadata import (
    Code,
    Dataset,
    Dependency,
    Evaluation,
    FeatureSet,
    File,
    Parent,
    RelatedCode,
    Run,
    Runtime,
    Scalar,
    Signature,
)


class Unset(Enum):
    """The type of ``UNSET``."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
Expectation: TypeAlias = str | Literal[Unset.UNSET] | None
"""``expect_current``: a version number, None for nobody, UNSET for no expectation."""


@dataclass(frozen=True, slots=True)
class RegisterModel:
    """Take a name."""

    model: str
    title: str | None = None
    description: str = ""
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: str = "default"


@dataclass(frozen=True, slots=True)
class UpdateModel:
    """Change what describes a model. None: leave alone. ``tags`` is merged: a None value removes that tag."""

    model: str
    title: str | None = None
    description: str | None = None
    owner: str | None = None
    tags: Mapping[str, str | None] | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class RetireModel:
    """Take no more writes. ``leave_empty`` is needed while something is in production."""

    model: str
    leave_empty: bool = False


@dataclass(frozen=True, slots=True)
class ReviveModel:
    """Take writes again."""

    model: str


@dataclass(frozen=True, slots=True)
class AnnouncedArtifact:
    """What the caller says of the bytes; any part may be left out where the artifact store knows it."""

    uri: str | None = None
    digest: str | None = None
    size: int | None = None
    format: str | None = None
    files: tuple[File, ...] = ()
    weights_digest: str | None = None


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """Register a version. ``version`` is a number or ``auto``; ``origin`` marks an import, which may be incomplete.

    ``create`` takes the model's name, too, where it is new: both or neither.
    """

    model: str
    version: str = "auto"
    base: str | None = None
    change: str | None = None
    artifact: AnnouncedArtifact = AnnouncedArtifact()
    code: Code | None = None
    related_code: tuple[RelatedCode, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    features: tuple[FeatureSet, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    params: Mapping[str, Scalar] = field(default_factory=dict)
    configuration: Mapping[str, Scalar] = field(default_factory=dict)
    signature: Signature | None = None
    runtime: Runtime | None = None
    run: Run | None = None
    parents: tuple[Parent, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    author: str | None = None
    trained_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    custom: str | None = None
    description: str = ""
    ordinal: int | None = None
    origin: Origin | None = None
    create: bool = False


@dataclass(frozen=True, slots=True)
class UpdateVersion:
    """Change what describes a version; complete an incomplete import, or waive what it lacks, with a reason."""

    model: str
    ref: str
    description: str | None = None
    tags: Mapping[str, str | None] | None = None
    model_card: str | None = None
    code: Code | None = None
    datasets: tuple[Dataset, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    author: str | None = None
    trained_at: datetime | None = None
    waive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordEvaluation:
    """Add metrics to a version."""

    model: str
    ref: str
    metrics: Mapping[str, float]
    dataset: Dataset | None = None
    slice: str | None = None


@dataclass(frozen=True, slots=True)
class ReportCheck:
    """Report the status of a named check."""

    model: str
    ref: str
    check: str
    status: CheckStatus
    url: str | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Promote:
    """Bring a version into a stage."""

    model: str
    ref: str
    to: str
    keep_existing: bool = False
    expect_current: Expectation = UNSET


@dataclass(frozen=True, slots=True)
class RollBack:
    """Bring a stage back to an earlier holder: the one before, or ``to``."""

    model: str
    stage: str = "production"
    to: str | None = None
    expect_current: Expectation = UNSET


@dataclass(frozen=True, slots=True)
class Archive:
    """Take a version out of the life cycle."""

    model: str
    ref: str
    leave_empty: bool = False


@dataclass(frozen=True, slots=True)
class AssignAlias:
    """Point an alias at a version."""

    model: str
    alias: str
    ref: str
    expect_current: Expectation = UNSET


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    """Remove an alias."""

    model: str
    alias: str
    expect_current: Expectation = UNSET


Command: TypeAlias = (
    RegisterModel
    | UpdateModel
    | RetireModel
    | ReviveModel
    | RegisterVersion
    | UpdateVersion
    | RecordEvaluation
    | ReportCheck
    | Promote
    | RollBack
    | Archive
    | AssignAlias
    | RemoveAlias
)
