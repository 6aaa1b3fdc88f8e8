"""Answers, as in the API reference: what reads and writes return.

Every write answers with ``stream``, ``sequence``, ``position`` and ``hash`` of its (last) event; the position is also
the header ``Regista-Position``, which every read carries too: the position its answer reflects.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from regista.wire.base import JsonObject, Resource, Scalar

T = TypeVar("T")


class Page(Resource, Generic[T]):
    """One page of a list. ``next`` is the token of the following page, null on the last."""

    items: list[T]
    next: str | None = None


class Written(Resource):
    """What every write answers, beside the resource. ``dry_run`` answers have position 0."""

    stream: str
    sequence: int
    position: int
    hash: str
    command_id: str
    replayed: bool = False


class ArtifactRef(Resource):
    """The artifact in short."""

    digest: str


class Numbering(Resource):
    """How a version's number came about."""

    requested: str
    level: str
    base: str | None
    explanation: list[str]


class Displaced(Resource):
    """A version that left a stage for another."""

    version: str
    ordinal: int
    to_stage: str


class ModelWritten(Written):
    """Answer of the writes on a model."""

    model: str
    retired: bool


class VersionWritten(Written):
    """Answer of the writes on a version."""

    model: str
    version: str
    ordinal: int
    stage: str
    aliases: list[str]
    artifact: ArtifactRef
    incomplete: list[str] = []
    numbering: Numbering | None = None
    previous_version: str | None = None
    displaced: list[Displaced] = []


class AliasWritten(Written):
    """Answer of the writes on an alias. ``version`` is null when it was removed."""

    model: str
    alias: str
    version: str | None
    ordinal: int | None
    previous_version: str | None


class PlannedEvent(Resource):
    """An event that a dry run would append."""

    stream: str
    sequence: int
    type: str
    data: JsonObject


class Plan(Resource):
    """Answer of every write with ``?dry_run=true``."""

    dry_run: bool = True
    events: list[PlannedEvent]


class Model(Resource):
    """``GET /v1/models/{model}``. ``at`` names the position answered for, in queries into the past."""

    model: str
    title: str | None
    description: str
    owner: str | None
    tags: dict[str, str]
    policy: str
    retired: bool
    versions: int
    latest_version: str | None
    stages: dict[str, list[str]]
    aliases: dict[str, str]
    created_at: datetime
    created_by: str
    updated_at: datetime
    sequence: int
    at: int | None = None


class File(Resource):
    """One file of an artifact."""

    path: str
    size: int
    sha256: str


class Artifact(Resource):
    """A version's bytes."""

    uri: str
    digest: str
    size: int
    format: str
    files: list[File] = []
    weights_digest: str | None = None


class Check(Resource):
    """The newest status of a named check."""

    name: str
    status: str
    url: str | None
    summary: str | None
    at: datetime
    actor: str


class EvaluationResult(Resource):
    """Metrics of one evaluation, at the position of its own event or, given with the version, of the registration."""

    dataset: JsonObject | None
    slice: str | None
    metrics: dict[str, float]
    at: datetime
    actor: str
    position: int


class VersionSummary(Resource):
    """A version in lists."""

    model: str
    version: str
    ordinal: int
    stage: str
    aliases: list[str]
    artifact: ArtifactRef
    format: str
    author: str | None
    created_at: datetime
    created_by: str
    metrics: dict[str, float]
    tags: dict[str, str]
    incomplete: list[str] = []


class Version(Resource):
    """``GET /v1/models/{model}/versions/{ref}``: everything known of a version."""

    model: str
    version: str
    ordinal: int
    stage: str
    aliases: list[str]
    policy: str
    numbering: Numbering
    change: str | None
    artifact: Artifact
    code: JsonObject | None
    related_code: list[JsonObject]
    datasets: list[JsonObject]
    features: list[JsonObject]
    metrics: dict[str, float]
    evaluations: list[EvaluationResult]
    checks: list[Check]
    params: dict[str, Scalar]
    configuration: dict[str, Scalar]
    signature: JsonObject | None
    runtime: JsonObject | None
    run: JsonObject | None
    parents: list[JsonObject]
    dependencies: list[JsonObject]
    author: str | None
    trained_at: datetime | None
    tags: dict[str, str]
    custom: JsonObject | None
    description: str
    model_card: str | None
    incomplete: list[str]
    waived: list[str]
    created_at: datetime
    created_by: str
    position: int
    sequence: int
    at: int | None = None


class Alias(Resource):
    """An alias and where it points."""

    model: str
    alias: str
    version: str
    ordinal: int
    since: datetime
    since_position: int
    actor: str
    reason: str | None = None
    previous_version: str | None = None
    at: int | None = None


class StageTenure(Resource):
    """A version's time in a stage; ``until`` is null while it lasts, ``how`` says how it came there (promoted, displaced)."""

    model: str
    stage: str
    version: str
    ordinal: int
    since: datetime
    since_position: int
    until: datetime | None
    until_position: int | None
    how: str
    actor: str
    reason: str | None
    previous_version: str | None


class Event(Resource):
    """One event of the log."""

    position: int
    stream: str
    sequence: int
    type: str
    time: datetime
    actor: str
    identity: str
    reason: str | None
    command_id: str
    cause: str | None
    previous_hash: str
    hash: str
    data: JsonObject


class EventPage(Resource):
    """``GET /v1/events``: ``next`` is the ``after`` of the following page, null at the end of the log."""

    items: list[Event]
    next: int | None = None


class ViewStatus(Resource):
    """How one view stands: ``state`` is live, degraded or rebuilding. ``hint`` says what to do about an ``error``."""

    name: str
    version: int
    position: int
    lag: int
    state: str
    error: str | None = None
    hint: str | None = None


class Head(Resource):
    """How far the log is folded: position, number of events, and the running digest over all of them."""

    position: int
    count: int
    digest: str


class Status(Resource):
    """``GET /v1/status``."""

    version: str
    log_id: str
    log_position: int
    head: Head
    views: list[ViewStatus]
    writes: str
    started_at: datetime
    components: dict[str, JsonObject] = {}


class Problem(Resource):
    """RFC 9457 problem+json. ``code`` is stable; ``reasons`` holds every reason of a refusal."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    instance: str | None = None
    reasons: list[ProblemReason] = []


class ProblemReason(Resource):
    """One reason: what it is about and the way out of it."""

    code: str
    detail: str
    field: str | None = None
    hint: str | None = None
