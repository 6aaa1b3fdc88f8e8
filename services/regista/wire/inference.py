"""What is measured where models are served: reports as values, and as the API takes and tells them.

Latencies are seconds. A report counts what one version answered in one interval, as one reporter saw it; reports of
several reporters and intervals are added up, in any order, and each counts once by its ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import AwareDatetime, BeforeValidator, Field

from regista.wire.base import Name, Request, Resource

MOST_REPORTS = 1_000
"""Reports in one request."""
MOST_BUCKETS = 512
MOST_BUSINESS = 100
"""Business metrics in one report."""


@dataclass(frozen=True, slots=True)
class LatencyCounts:
    """Counts of answers by the seconds they took.

    ``bounds`` rise, and are the upper bounds, inclusive, of all buckets but the last, which has none: there is one count
    more than there are bounds, or neither.
    """

    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BusinessSum:
    """Values of a metric, summed up."""

    count: int
    sum: float
    sum_of_squares: float


@dataclass(frozen=True, slots=True)
class InferenceReport:
    """What a version answered at an endpoint in an interval. ``region`` is None in an environment without regions."""

    id: str
    environment: str
    endpoint: str
    region: str | None
    version: str
    artifact_digest: str
    reporter: str
    started_at: datetime
    ended_at: datetime
    requests: int
    errors: int
    latency: LatencyCounts = LatencyCounts()
    business: Mapping[str, BusinessSum] = field(default_factory=dict)


def _moment(value: object) -> object:
    """Times are text in JSON; requests are strict otherwise."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_moment, json_schema_input_type=AwareDatetime)]
Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**53)]


class LatencyHistogram(Request):
    """How long answers took: rising upper bounds in seconds, and one count more than there are bounds."""

    bounds: Annotated[list[float], Field(max_length=MOST_BUCKETS)] = []
    counts: Annotated[list[Count], Field(max_length=MOST_BUCKETS + 1)] = []


class BusinessMetric(Request):
    """Values of a metric: how many, their sum, the sum of their squares."""

    count: Count
    sum: float
    sum_of_squares: Annotated[float, Field(ge=0)]


class Inference(Request):
    """One report; ``id`` makes it count once, however often it is sent."""

    id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
    version: Name
    artifact_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    started_at: Moment
    ended_at: Moment
    requests: Count
    errors: Count = 0
    region: Name | None = None
    reporter: Name | None = None
    latency: LatencyHistogram = LatencyHistogram()
    business: Annotated[dict[Name, BusinessMetric], Field(max_length=MOST_BUSINESS)] = {}


class ReportInference(Request):
    """``POST /v1/endpoints/{environment}/{endpoint}/metrics``."""

    reports: Annotated[list[Inference], Field(min_length=1, max_length=MOST_REPORTS)]


class InferenceAccepted(Resource):
    """Reports were taken in, and will not be lost. ``taken``: how many; ``via``: ``kafka`` or ``database``."""

    taken: int
    via: str


class Estimated(Resource):
    """A metric of a variant: what it is, and between what it lies (95 %, however often it is looked at).

    ``high`` is null where the samples do not bound it.
    """

    metric: str
    value: float
    low: float
    high: float | None
    samples: int


class Window(Resource):
    """One tumbling window of a variant. Latencies are seconds; null without any."""

    started_at: str
    seconds: float
    requests: int
    errors: int
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    business: dict[str, float]


class Judged(Resource):
    """How a guardrail stands: ``holds``, ``broken``, ``undecided`` or ``waiting`` for samples, and that in words."""

    metric: str
    limit: str
    bound: float | None
    relative_to_champion: bool
    state: str
    said: str


class VariantMetrics(Resource):
    """What is known of a variant: since the change took effect, and in the newest windows."""

    version: str
    artifact_digest: str
    role: str
    region: str | None
    weight: float | None
    requests: int
    errors: int
    metrics: list[Estimated]
    guardrails: list[Judged]
    windows: list[Window]


class ChangeMetrics(Resource):
    """What the newest change is worth so far. ``verdict`` is what follows from it; null: it is watched further."""

    change: int
    step: int | None
    issued_at: str
    effective_at: str | None
    verdict: str | None
    explanation: list[str]
    acted: str | None


class EndpointMetrics(Resource):
    """Answer of ``GET /v1/endpoints/{environment}/{endpoint}/metrics``."""

    environment: str
    endpoint: str
    model: str
    automatic: bool
    change: ChangeMetrics | None
    variants: list[VariantMetrics]
    waiting: int
