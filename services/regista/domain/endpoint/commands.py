"""The commands of endpoints: what somebody, a follower or a deployer asks for or tells.

Weights are whole hundredths of a percent. ``UNSET`` marks what a partial update leaves alone and a precondition that
was not given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from regista.domain.commands import UNSET, Unset
from regista.domain.events import CanaryStep, DeploymentState, Guardrail, Measured, Role, Verdict

ChangeExpectation: TypeAlias = int | Literal[Unset.UNSET] | None
"""``expect_change``: the sequence of the change that must be the newest, None for none, UNSET for no expectation."""


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """Take a name for versions of a model. ``follow`` is an alias or a stage: ``@champion``, ``@production``."""

    environment: str
    endpoint: str
    model: str
    targets: tuple[str, ...] = ()
    follow: str | None = None
    automatic: bool = False
    guardrails: tuple[Guardrail, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class UpdateEndpoint:
    """Change what describes an endpoint. None: leave alone; ``follow`` None: follow nothing."""

    environment: str
    endpoint: str
    targets: tuple[str, ...] | None = None
    follow: str | Literal[Unset.UNSET] | None = UNSET
    automatic: bool | None = None
    guardrails: tuple[Guardrail, ...] | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class VariantRequest:
    """A version to serve.

    ``role`` None: what it is now; else, of those whose role is not said, the one with the most weight is the champion
    where there is none, and the others are canaries where there is a schedule, challengers otherwise. ``region`` None:
    each of the environment. ``mirror`` None: everything for a shadow, nothing for all others. ``digest`` is compared
    with the version's where it is given.
    """

    ref: str
    weight: int = 0
    role: Role | None = None
    region: str | None = None
    mirror: int | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeTraffic:
    """Say what is to be served, in one of three ways.

    ``variants`` are the whole set, with a schedule where ``canary`` has steps. ``promote`` gives a version everything,
    and the others leave. ``advance`` brings the canary that is under way to its next step; after the last one it
    is the champion.
    """

    environment: str
    endpoint: str
    variants: tuple[VariantRequest, ...] = ()
    canary: tuple[CanaryStep, ...] = ()
    promote: str | None = None
    advance: bool = False
    expect_change: ChangeExpectation = UNSET


@dataclass(frozen=True, slots=True)
class RollBackEndpoint:
    """Serve again what was served before, or what the change of sequence ``to`` said."""

    environment: str
    endpoint: str
    to: int | None = None
    expect_change: ChangeExpectation = UNSET


@dataclass(frozen=True, slots=True)
class FollowVersion:
    """Serve the version that ``followed`` names. ``version`` is the one it named when the follower saw it move."""

    environment: str
    endpoint: str
    followed: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedVariant:
    """What a target says that it serves."""

    artifact_digest: str
    role: Role = "unknown"
    weight: int = 0
    mirror: int = 0
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ReportDeployment:
    """Tell what became of a change on a target, and what runs there."""

    environment: str
    endpoint: str
    target: str
    change: int
    state: DeploymentState
    observed: tuple[ObservedVariant, ...] = ()
    detail: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class ConcludeExperiment:
    """Tell what the variants of a change were found to be worth. ``step`` None: the one that the canary stands at."""

    environment: str
    endpoint: str
    change: int
    verdict: Verdict
    measured: tuple[Measured, ...] = ()
    explanation: tuple[str, ...] = ()
    step: int | None = None


@dataclass(frozen=True, slots=True)
class RetireEndpoint:
    """Serve nothing any more."""

    environment: str
    endpoint: str
    expect_change: ChangeExpectation = UNSET


Command: TypeAlias = (
    CreateEndpoint
    | UpdateEndpoint
    | ChangeTraffic
    | RollBackEndpoint
    | FollowVersion
    | ReportDeployment
    | ConcludeExperiment
    | RetireEndpoint
)
