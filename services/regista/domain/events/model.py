"""The events of the model stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from regista.domain.events.base import Event
from regista.domain.metadata import (
    Artifact,
    Code,
    Dataset,
    Dependency,
    Evaluation,
    FeatureSet,
    Parent,
    RelatedCode,
    Run,
    Runtime,
    Scalar,
    Signature,
)


@dataclass(frozen=True, slots=True)
class ModelRegistered(Event):
    """A name was taken. ``model`` keeps the spelling; the stream id holds it in lower case."""

    TYPE: ClassVar[str] = "regista.model.registered.v1"
    model: str
    title: str | None
    description: str
    owner: str | None
    tags: Mapping[str, str]
    policy: str


@dataclass(frozen=True, slots=True)
class ModelUpdated(Event):
    """What describes the model changed. None: not touched. ``tags_set`` are added or replaced, ``tags_removed`` dropped."""

    TYPE: ClassVar[str] = "regista.model.updated.v1"
    model: str
    title: str | None = None
    description: str | None = None
    owner: str | None = None
    tags_set: Mapping[str, str] = field(default_factory=dict)
    tags_removed: tuple[str, ...] = ()
    policy: str | None = None
    previous_owner: str | None = None
    previous_policy: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRetired(Event):
    """The model takes no more writes. Its name and numbers stay taken. ``holders``: what stood in which stage."""

    TYPE: ClassVar[str] = "regista.model.retired.v1"
    model: str
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """A version in a stage."""

    stage: str
    version: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class ModelRevived(Event):
    """A retired model takes writes again; its numbers go on."""

    TYPE: ClassVar[str] = "regista.model.revived.v1"
    model: str


@dataclass(frozen=True, slots=True)
class Numbering:
    """How the number came about: ``level`` first, major, minor, patch or named; ``base`` what it was compared with."""

    requested: str
    level: str
    base: str | None
    explanation: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionRegistered(Event):
    """A version exists: its number, its bytes, and all that is known about how it was made.

    ``incomplete`` names required metadata that an import could not give; empty otherwise.
    ``custom`` is one JSON object as text.
    """

    TYPE: ClassVar[str] = "regista.version.registered.v1"
    model: str
    version: str
    ordinal: int
    stage: str
    policy: str
    numbering: Numbering
    change: str | None
    artifact: Artifact
    code: Code | None
    related_code: tuple[RelatedCode, ...]
    datasets: tuple[Dataset, ...]
    features: tuple[FeatureSet, ...]
    metrics: Mapping[str, float]
    evaluations: tuple[Evaluation, ...]
    params: Mapping[str, Scalar]
    configuration: Mapping[str, Scalar]
    signature: Signature | None
    runtime: Runtime | None
    run: Run | None
    parents: tuple[Parent, ...]
    dependencies: tuple[Dependency, ...]
    author: str | None
    trained_at: datetime | None
    tags: Mapping[str, str]
    custom: str | None
    description: str
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Supplied:
    """Required metadata given after an incomplete import. None or empty: not given now."""

    code: Code | None = None
    datasets: tuple[Dataset, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    author: str | None = None
    trained_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionUpdated(Event):
    """What describes a version changed. None: not touched. ``tags_set`` are added or replaced, ``tags_removed`` dropped.

    After an incomplete import ``supplied`` completes it and ``waived`` names what is done without, for the
    reason in ``meta``; ``incomplete`` is what is still missing afterwards.
    """

    TYPE: ClassVar[str] = "regista.version.updated.v1"
    model: str
    version: str
    ordinal: int
    description: str | None = None
    tags_set: Mapping[str, str] = field(default_factory=dict)
    tags_removed: tuple[str, ...] = ()
    model_card: str | None = None
    supplied: Supplied | None = None
    waived: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationRecorded(Event):
    """Metrics measured after registration. They add to, never replace, what the registration said."""

    TYPE: ClassVar[str] = "regista.version.evaluation-recorded.v1"
    model: str
    version: str
    ordinal: int
    dataset: Dataset | None
    slice: str | None
    metrics: Mapping[str, float]


CheckStatus: TypeAlias = Literal["passed", "failed", "running", "unknown"]


@dataclass(frozen=True, slots=True)
class CheckReported(Event):
    """A check of this name has a new status; the newest one of a name counts. A failed one blocks promotion."""

    TYPE: ClassVar[str] = "regista.version.check-reported.v1"
    model: str
    version: str
    ordinal: int
    check: str
    status: CheckStatus
    previous_status: CheckStatus | None
    url: str | None
    summary: str | None


@dataclass(frozen=True, slots=True)
class Displaced:
    """A version that left the stage because another came, and where it went."""

    version: str
    ordinal: int
    to_stage: str


@dataclass(frozen=True, slots=True)
class VersionPromoted(Event):
    """A version entered a stage. Displacing the incumbent is part of this one event.

    ``previous_version`` held the stage last before, if any did; with ``keep_existing`` it still holds it.
    """

    TYPE: ClassVar[str] = "regista.version.promoted.v1"
    model: str
    version: str
    ordinal: int
    artifact_digest: str
    from_stage: str
    to_stage: str
    previous_version: str | None
    displaced: tuple[Displaced, ...]
    keep_existing: bool


@dataclass(frozen=True, slots=True)
class VersionRolledBack(Event):
    """A stage went back to an earlier holder. ``previous_version`` is what it was rolled back from, if it was held."""

    TYPE: ClassVar[str] = "regista.version.rolled-back.v1"
    model: str
    version: str
    ordinal: int
    artifact_digest: str
    stage: str
    from_stage: str
    previous_version: str | None
    displaced: tuple[Displaced, ...]


@dataclass(frozen=True, slots=True)
class VersionArchived(Event):
    """A version left the life cycle. ``leaves_empty``: its stage has no holder now."""

    TYPE: ClassVar[str] = "regista.version.archived.v1"
    model: str
    version: str
    ordinal: int
    from_stage: str
    leaves_empty: bool


@dataclass(frozen=True, slots=True)
class AliasAssigned(Event):
    """An alias points at a version. ``previous_version``: where it pointed before, if it existed."""

    TYPE: ClassVar[str] = "regista.alias.assigned.v1"
    model: str
    alias: str
    version: str
    ordinal: int
    artifact_digest: str
    previous_version: str | None


@dataclass(frozen=True, slots=True)
class AliasRemoved(Event):
    """An alias is gone."""

    TYPE: ClassVar[str] = "regista.alias.removed.v1"
    model: str
    alias: str
    previous_version: str
    previous_ordinal: int
