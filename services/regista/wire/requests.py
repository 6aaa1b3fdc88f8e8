"""Request bodies, as in the API reference: one class per body.

Presence of required metadata is a rule of the registry, judged by the domain all at once, so nearly everything is
optional here; types and sizes are judged here.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BeforeValidator, Field

from regista.wire.base import JsonObject, Metrics, Name, Reason, Request, Scalars, ShortText, Tags, Text

Size = Annotated[int, Field(ge=0, lt=2**63)]
Timestamp = Annotated[AwareDatetime, Field(strict=False)]
"""RFC 3339 with a zone; dates without one are refused."""


class RegisterModel(Request):
    """``POST /v1/models``."""

    name: str
    title: ShortText | None = None
    description: Text = ""
    owner: Name | None = None
    tags: Tags = Field(default_factory=dict)
    policy: Name = "default"
    reason: Reason | None = None


class UpdateModel(Request):
    """``PATCH /v1/models/{model}``. A tag whose value is null is removed; the others are merged."""

    title: ShortText | None = None
    description: Text | None = None
    owner: Name | None = None
    tags: dict[Name, ShortText | None] | None = None
    policy: Name | None = None
    reason: Reason | None = None


class ReviveModel(Request):
    """``POST /v1/models/{model}/revive``."""

    reason: Reason | None = None


class File(Request):
    """One file of an artifact."""

    path: str
    size: Size
    sha256: str


class Artifact(Request):
    """The bytes: uploaded before (``digest`` of the manifest), or outside (``uri`` with sizes and digests)."""

    uri: ShortText | None = None
    digest: str | None = None
    size: Size | None = None
    format: Name | None = None
    files: Annotated[list[File], Field(max_length=100_000)] = Field(default_factory=list)
    weights_digest: str | None = None


class Code(Request):
    """The training code."""

    repository: ShortText | None = None
    commit: Name | None = None
    dirty: bool = False
    path: ShortText | None = None
    snapshot: str | None = None


class RelatedCode(Request):
    """Code beside the training code."""

    role: Name
    repository: ShortText | None = None
    commit: Name


class Dataset(Request):
    """A data set, by version, digest or both."""

    name: ShortText
    version: Name | None = None
    uri: ShortText | None = None
    digest: Name | None = None


def _by_name(dataset: object) -> object:
    return {"name": dataset} if isinstance(dataset, str) else dataset


EvaluatedOn: TypeAlias = Annotated[
    Dataset, Field(strict=False), BeforeValidator(_by_name, json_schema_input_type=Dataset | ShortText)
]
"""A data set that metrics were measured on: text stands for a data set of which only the name is known."""


class FeatureSet(Request):
    """A feature set, by version, digest or both."""

    name: ShortText
    version: Name | None = None
    digest: Name | None = None


class Evaluation(Request):
    """Metrics on one data set and slice."""

    dataset: EvaluatedOn | None = None
    slice: ShortText | None = None
    metrics: Metrics


class TensorField(Request):
    """One input or output. A null dimension is of any size; ``optional`` inputs have a default."""

    name: ShortText
    type: Name
    shape: list[Annotated[int, Field(ge=0)] | None] | None = None
    optional: bool = False


class Signature(Request):
    """What the model takes and gives."""

    inputs: list[TensorField]
    outputs: list[TensorField]


class Runtime(Request):
    """Where it was trained."""

    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    python: Name | None = None
    packages: dict[Name, Name] = Field(default_factory=dict)
    hardware: dict[Name, ShortText] = Field(default_factory=dict)


class Run(Request):
    """The run of an experiment tracker."""

    tracker: Name
    id: ShortText
    url: ShortText | None = None


class Parent(Request):
    """A version that this one was made from."""

    model: Name
    version: Name
    relation: Name = "derived-from"


class Dependency(Request):
    """A version that this one needs when it serves."""

    model: Name
    version: Name
    role: Name


class Origin(Request):
    """Where an import came from. Its presence makes the registration an import, which may be incomplete."""

    system: Name
    id: ShortText
    time: Timestamp | None = None


class RegisterVersion(Request):
    """``POST /v1/models/{model}/versions``."""

    version: Name = "auto"
    base: Name | None = None
    change: Literal["interface", "retrained", "configuration"] | None = None
    artifact: Artifact = Field(default_factory=Artifact)
    code: Code | None = None
    related_code: list[RelatedCode] = Field(default_factory=list)
    datasets: list[Dataset] = Field(default_factory=list)
    features: list[FeatureSet] = Field(default_factory=list)
    metrics: Metrics = Field(default_factory=dict)
    evaluations: list[Evaluation] = Field(default_factory=list)
    params: Scalars = Field(default_factory=dict)
    configuration: Scalars = Field(default_factory=dict)
    signature: Signature | None = None
    runtime: Runtime | None = None
    run: Run | None = None
    parents: list[Parent] = Field(default_factory=list)
    dependencies: list[Dependency] = Field(default_factory=list)
    author: Name | None = None
    trained_at: Timestamp | None = None
    tags: Tags = Field(default_factory=dict)
    custom: JsonObject | None = None
    description: Text = ""
    ordinal: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    origin: Origin | None = None
    reason: Reason | None = None


class UpdateVersion(Request):
    """``PATCH /v1/models/{model}/versions/{ref}``. The metadata fields complete an incomplete import."""

    description: Text | None = None
    tags: dict[Name, ShortText | None] | None = None
    model_card: Annotated[str, Field(max_length=262_144)] | None = None
    code: Code | None = None
    datasets: list[Dataset] = Field(default_factory=list)
    metrics: Metrics = Field(default_factory=dict)
    author: Name | None = None
    trained_at: Timestamp | None = None
    waive: list[Name] = Field(default_factory=list)
    reason: Reason | None = None


class Promote(Request):
    """``POST …/versions/{ref}/promote``."""

    to: Name
    reason: Reason | None = None
    keep_existing: bool = False
    expect_current: Name | None = None


class RollBack(Request):
    """``POST …/rollback``."""

    stage: Name = "production"
    to: Name | None = None
    reason: Reason | None = None
    expect_current: Name | None = None


class Archive(Request):
    """``POST …/versions/{ref}/archive``."""

    reason: Reason | None = None
    leave_empty: bool = False


class RecordEvaluation(Request):
    """``POST …/versions/{ref}/evaluations``."""

    metrics: Metrics
    dataset: EvaluatedOn | None = None
    slice: ShortText | None = None
    reason: Reason | None = None


class ReportCheck(Request):
    """``POST …/versions/{ref}/checks``. A failed check blocks promotion until the same check passes."""

    name: Name
    status: Literal["passed", "failed", "running"]
    url: ShortText | None = None
    summary: Text | None = None
    reason: Reason | None = None


class AssignAlias(Request):
    """``PUT …/aliases/{alias}``."""

    version: Name
    reason: Reason | None = None
    expect_current: Name | None = None
