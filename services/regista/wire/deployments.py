"""Request bodies and answers of environments, targets and endpoints.

Weights are percentages here, with up to two decimals, and whole hundredths of a percent in events: in JSON as people
write them, in the log without rounding.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from regista.wire.base import JsonObject, Name, Reason, Request, Resource, Secret, ShortText, Text
from regista.wire.resources import Written

Sequence: TypeAlias = Annotated[int, Field(ge=1, lt=2**63)]
Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]
Role: TypeAlias = Literal["champion", "challenger", "canary", "shadow"]


def hundredths(percent: float) -> int:
    """A percentage in whole hundredths of a percent: 12.5 is 1250."""
    return round(percent * 100)


def _two_decimals(percent: float) -> float:
    if abs(percent * 100 - hundredths(percent)) > 1e-6:  # what binary fractions make of two decimals is far less
        msg = "a percentage has two decimals at most"
        raise ValueError(msg)
    return percent


Percent: TypeAlias = Annotated[float, Field(ge=0, le=100), AfterValidator(_two_decimals)]


class DefineEnvironment(Request):
    """``PUT /v1/environments/{environment}``: all of it. No ``regions``: one, without a name."""

    stages: Annotated[list[Name], Field(max_length=100)]
    regions: Annotated[list[Name], Field(max_length=1_000)] = []
    description: Text = ""
    reason: Reason | None = None


class RollBackEnvironment(Request):
    """``POST /v1/environments/{environment}/rollback``. ``at``: a position, or a time with a zone."""

    at: Name
    reason: Reason | None = None


class PutTarget(Request):
    """``PUT /v1/targets/{target}``: all of it. No secret stands in ``settings``.

    ``secrets``: by name. They go into the private table, and into nothing else: no event, answer or message has them, and
    Kafka takes none. Nobody can read one back, so one that is left out stays as it is while the kind is the same, and null
    forgets it.
    """

    kind: Name
    settings: JsonObject = {}
    secrets: Annotated[dict[Name, Secret | None], Field(max_length=100)] = {}
    description: Text = ""
    reason: Reason | None = None


class Guardrail(Request):
    """A bound for a metric of a variant; ``relative_to_champion``: ``value`` is a multiple of the champion's."""

    metric: Name
    limit: Literal["maximum", "minimum"]
    value: float
    minimum_samples: Annotated[int, Field(lt=2**63)]
    relative_to_champion: bool = False


class CreateEndpoint(Request):
    """``POST /v1/endpoints``. ``follow``: a stage or an alias (``@production``) that it serves by itself."""

    environment: Name
    name: Name
    model: Name
    targets: Annotated[list[Name], Field(max_length=1_000)] = []
    follow: Name | None = None
    automatic: bool = False
    guardrails: Annotated[list[Guardrail], Field(max_length=1_000)] = []
    description: Text = ""
    reason: Reason | None = None


class UpdateEndpoint(Request):
    """``PATCH /v1/endpoints/{environment}/{name}``. What is left out stays; ``follow`` null: it follows nothing."""

    targets: Annotated[list[Name], Field(max_length=1_000)] | None = None
    follow: Name | None = None
    automatic: bool | None = None
    guardrails: Annotated[list[Guardrail], Field(max_length=1_000)] | None = None
    description: Text | None = None
    reason: Reason | None = None


class VariantRequest(Request):
    """A version to serve; ``digest``, where given, must be its artifact's. ``mirror`` is for shadows."""

    version: Name
    weight: Percent = 0
    role: Role | None = None
    region: Name | None = None
    mirror: Percent | None = None
    digest: Name | None = None


class CanaryStep(Request):
    """The weight of the canary in a step, and how long and for how many requests it is watched there at least."""

    weight: Percent
    hold_seconds: Count = 0
    minimum_requests: Count = 0


class ChangeTraffic(Request):
    """``PUT …/traffic``: one of ``variants`` (the whole set), ``promote`` and ``advance``."""

    variants: Annotated[list[VariantRequest], Field(max_length=1_000)] = []
    canary: Annotated[list[CanaryStep], Field(max_length=100)] = []
    promote: Name | None = None
    advance: bool = False
    reason: Reason | None = None
    expect_change: Sequence | None = None


class RollBackEndpoint(Request):
    """``POST …/rollback``. ``to``: the sequence of an earlier change."""

    to: Sequence | None = None
    reason: Reason | None = None
    expect_change: Sequence | None = None


class FollowVersion(Request):
    """``POST …/follow``: serve what the stage or alias names now. ``version``: what it named when it was seen to move."""

    followed: Name
    version: Name | None = None
    reason: Reason | None = None


class ObservedVariant(Request):
    """What a target says that it serves."""

    artifact_digest: Name
    role: Role | Literal["unknown"] = "unknown"
    weight: Percent = 0
    mirror: Percent = 0
    region: Name | None = None


class ReportDeployment(Request):
    """``POST …/reports``: what became of a change on a target."""

    target: Name
    change: Sequence
    state: Literal["succeeded", "failed", "superseded", "unknown"]
    observed: Annotated[list[ObservedVariant], Field(max_length=1_000)] = []
    detail: Text = ""
    attempts: Count = 1
    reason: Reason | None = None


class Measured(Request):
    """A metric of a variant over ``samples``, and the bound that it was compared with."""

    version: Name
    metric: Name
    value: float
    samples: Annotated[int, Field(ge=0, lt=2**63)]
    region: Name | None = None
    limit: float | None = None


class ConcludeExperiment(Request):
    """``POST …/conclude``: what the variants of a change were found to be worth."""

    change: Sequence
    verdict: Literal["proceed", "promote", "roll_back", "inconclusive"]
    measured: Annotated[list[Measured], Field(max_length=10_000)] = []
    explanation: Annotated[list[ShortText], Field(max_length=1_000)] = []
    step: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reason: Reason | None = None


class EnvironmentWritten(Written):
    """Answer of the definition of an environment."""

    environment: str
    description: str
    stages: list[str]
    regions: list[str]


class WrittenEvent(Resource):
    """One event of a set that went to several streams."""

    stream: str
    sequence: int
    position: int
    hash: str
    type: str


class SecretKept(Resource):
    """A secret by its name, its id and its fingerprint. ``expires_at``: it counts until then; null: while it is named."""

    name: str
    id: str
    fingerprint: str
    expires_at: datetime | None = None


class TargetWritten(Written):
    """Answer of the writes on a target. One that was removed is told by its name alone."""

    target: str
    removed: bool
    kind: str | None = None
    description: str | None = None
    settings: dict[str, Any] | None = None
    secrets: list[SecretKept] = []


class Variant(Resource):
    """A version that is served, pinned to its bytes; weight and mirror in percent."""

    version: str
    ordinal: int
    artifact_digest: str
    role: str
    weight: float
    mirror: float
    region: str | None


class Observed(Resource):
    """What a target serves. ``version`` is null when no version of the model has this digest."""

    version: str | None
    artifact_digest: str
    role: str
    weight: float
    mirror: float
    region: str | None


class Step(Resource):
    """A step of a canary's schedule."""

    weight: float
    hold_seconds: int
    minimum_requests: int


class Canary(Resource):
    """A schedule, and the step that it stands at, counted from 1."""

    version: str
    ordinal: int
    step: int
    steps: list[Step]


class GuardrailKept(Resource):
    """A bound, as it is kept."""

    metric: str
    limit: str
    relative_to_champion: bool
    value: float
    minimum_samples: int


class RefusalReason(Resource):
    """Why a version that is followed was not let in."""

    code: str
    detail: str
    field: str | None
    hint: str | None


class FollowRefusal(Resource):
    """What an endpoint follows named a version that the rules do not let in."""

    followed: str
    version: str
    code: str
    reasons: list[RefusalReason]


class EndpointWritten(Written):
    """Answer of the writes on an endpoint. ``change`` is the sequence of what says what is to be served."""

    environment: str
    endpoint: str
    model: str
    description: str
    targets: list[str]
    follow: str | None
    automatic: bool
    guardrails: list[GuardrailKept]
    retired: bool
    change: int | None
    variants: list[Variant]
    canary: Canary | None
    refused: FollowRefusal | None = None


class ReportWritten(Written):
    """Answer of a report."""

    environment: str
    endpoint: str
    model: str
    target: str
    change: int
    state: str
    observed: list[Observed]


class ConclusionWritten(Written):
    """Answer of a conclusion."""

    environment: str
    endpoint: str
    model: str
    change: int
    step: int | None
    verdict: str


class RollbackWritten(Written):
    """Answer of an environment's rollback: all events where several streams were written, else what changed there."""

    events: list[WrittenEvent] | None = None
