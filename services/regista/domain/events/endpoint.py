"""The events of the endpoint stream: what is to be served where, what runs, and what was concluded from it.

Weights and mirrored shares are whole hundredths of a percent: 10,000 is everything. A *change* is an event that says
what is to be served: ``TrafficChanged``, ``EndpointRolledBack`` or ``EndpointRetired``; it is named by its sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from regista.domain.events.base import Event

Role: TypeAlias = Literal["champion", "challenger", "canary", "shadow", "unknown"]
"""``unknown`` is only ever observed."""
Limit: TypeAlias = Literal["maximum", "minimum", "unknown"]
DeploymentState: TypeAlias = Literal["succeeded", "failed", "superseded", "unknown"]
Verdict: TypeAlias = Literal["proceed", "promote", "roll_back", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A version that is served, pinned to its bytes. A shadow has no weight; only a shadow has a ``mirror``.

    ``region`` is None in an environment without regions.
    """

    version: str
    ordinal: int
    artifact_digest: str
    role: Role
    weight: int
    mirror: int
    region: str | None


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """The weight of the canary in a step, and how long and for how many requests it is watched there at least."""

    weight: int
    hold_seconds: int
    minimum_requests: int


@dataclass(frozen=True, slots=True)
class Canary:
    """The schedule of a version that is brought in step by step. ``step`` counts from 1."""

    version: str
    ordinal: int
    steps: tuple[CanaryStep, ...]
    step: int


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A bound for a metric of a variant; with ``relative_to_champion`` ``value`` is a multiple of the champion's.

    Nothing is concluded from fewer than ``minimum_samples``.
    """

    metric: str
    limit: Limit
    relative_to_champion: bool
    value: float
    minimum_samples: int


@dataclass(frozen=True, slots=True)
class EndpointCreated(Event):
    """A name was taken, for the first time or again after retirement, for versions of one model.

    ``follow`` is the stage or alias that it serves by itself. ``automatic``: canary steps go on, and what does
    harm is rolled back, without a person.
    """

    TYPE: ClassVar[str] = "regista.endpoint.created.v1"
    environment: str
    endpoint: str
    model: str
    targets: tuple[str, ...]
    follow: str | None
    automatic: bool
    guardrails: tuple[Guardrail, ...]
    description: str


@dataclass(frozen=True, slots=True)
class EndpointUpdated(Event):
    """What describes the endpoint, as a whole from now on, and as it was before. What is served stays."""

    TYPE: ClassVar[str] = "regista.endpoint.updated.v1"
    environment: str
    endpoint: str
    model: str
    targets: tuple[str, ...]
    follow: str | None
    automatic: bool
    guardrails: tuple[Guardrail, ...]
    description: str
    previous_targets: tuple[str, ...]
    previous_follow: str | None
    previous_automatic: bool
    previous_guardrails: tuple[Guardrail, ...]
    previous_description: str


@dataclass(frozen=True, slots=True)
class TrafficChanged(Event):
    """What is to be served from now on: the whole set, and the whole set of the change before, if there was one."""

    TYPE: ClassVar[str] = "regista.endpoint.traffic-changed.v1"
    environment: str
    endpoint: str
    model: str
    variants: tuple[Variant, ...]
    canary: Canary | None
    previous: tuple[Variant, ...]
    previous_canary: Canary | None
    previous_change: int | None


@dataclass(frozen=True, slots=True)
class EndpointRolledBack(Event):
    """The whole set of the ``TrafficChanged`` of sequence ``restores`` is to be served again; no canary goes on."""

    TYPE: ClassVar[str] = "regista.endpoint.rolled-back.v1"
    environment: str
    endpoint: str
    model: str
    variants: tuple[Variant, ...]
    restores: int
    previous: tuple[Variant, ...]
    previous_canary: Canary | None
    previous_change: int | None


@dataclass(frozen=True, slots=True)
class Hindrance:
    """One reason why a version could not be served: as in a refusal."""

    code: str
    detail: str
    field: str | None
    hint: str | None


@dataclass(frozen=True, slots=True)
class FollowRefused(Event):
    """What the endpoint follows named a version that the rules do not let in; ``variants`` are served as before."""

    TYPE: ClassVar[str] = "regista.endpoint.follow-refused.v1"
    environment: str
    endpoint: str
    model: str
    followed: str
    version: str
    ordinal: int
    artifact_digest: str
    code: str
    reasons: tuple[Hindrance, ...]
    variants: tuple[Variant, ...]
    change: int | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What a target serves. ``version`` is None when the registry knows no version of the model with this digest."""

    version: str | None
    artifact_digest: str
    role: Role
    weight: int
    mirror: int
    region: str | None


@dataclass(frozen=True, slots=True)
class DeploymentReported(Event):
    """What became of a change on one target, and what runs there. ``previous_*``: the newest report before."""

    TYPE: ClassVar[str] = "regista.endpoint.deployment-reported.v1"
    environment: str
    endpoint: str
    model: str
    target: str
    change: int
    state: DeploymentState
    observed: tuple[Observed, ...]
    detail: str
    attempts: int
    previous_change: int | None
    previous_state: DeploymentState | None


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a variant over ``samples``, and the bound that it was compared with, if there was one."""

    version: str
    region: str | None
    metric: str
    value: float
    samples: int
    limit: float | None


@dataclass(frozen=True, slots=True)
class ExperimentConcluded(Event):
    """What the variants of a change were found to be worth. ``step`` is that of its canary, if one was open.

    It changes nothing by itself. ``previous_verdict`` is the verdict on the same change and step before.
    """

    TYPE: ClassVar[str] = "regista.endpoint.experiment-concluded.v1"
    environment: str
    endpoint: str
    model: str
    change: int
    step: int | None
    verdict: Verdict
    measured: tuple[Measured, ...]
    explanation: tuple[str, ...]
    previous_verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class EndpointRetired(Event):
    """Nothing is to be served any more. What was before."""

    TYPE: ClassVar[str] = "regista.endpoint.retired.v1"
    environment: str
    endpoint: str
    model: str
    previous: tuple[Variant, ...]
    previous_canary: Canary | None
    previous_change: int | None
