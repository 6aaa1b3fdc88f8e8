"""The events: what happened, in the past tense, for ever.

An event says what was before, so that a reader needs no state to understand it. Its Avro schema
(``schemas/regista/schemas/avro``) is the contract; these dataclasses, one module for each kind of stream, are its form
inside Python, and a test proves that both agree.
"""

from __future__ import annotations

from regista.domain.events.base import (
    Event,
    Identity,
    Meta,
    Origin,
)
from regista.domain.events.endpoint import (
    Canary,
    CanaryStep,
    DeploymentReported,
    DeploymentState,
    EndpointCreated,
    EndpointRetired,
    EndpointRolledBack,
    EndpointUpdated,
    ExperimentConcluded,
    FollowRefused,
    Guardrail,
    Hindrance,
    Limit,
    Measured,
    Observed,
    Role,
    TrafficChanged,
    Variant,
    Verdict,
)
from regista.domain.events.environment import (
    EnvironmentDefined,
)
from regista.domain.events.log import (
    LogCreated,
    LogHealed,
    LogImported,
)
from regista.domain.events.model import (
    AliasAssigned,
    AliasRemoved,
    CheckReported,
    CheckStatus,
    Displaced,
    EvaluationRecorded,
    Holder,
    ModelRegistered,
    ModelRetired,
    ModelRevived,
    ModelUpdated,
    Numbering,
    Supplied,
    VersionArchived,
    VersionPromoted,
    VersionRegistered,
    VersionRolledBack,
    VersionUpdated,
)
from regista.domain.events.target import (
    SecretRef,
    TargetChanged,
    TargetCreated,
    TargetRemoved,
)

__all__ = [
    "EVENT_TYPES",
    "AliasAssigned",
    "AliasRemoved",
    "Canary",
    "CanaryStep",
    "CheckReported",
    "CheckStatus",
    "DeploymentReported",
    "DeploymentState",
    "Displaced",
    "EndpointCreated",
    "EndpointRetired",
    "EndpointRolledBack",
    "EndpointUpdated",
    "EnvironmentDefined",
    "EvaluationRecorded",
    "Event",
    "ExperimentConcluded",
    "FollowRefused",
    "Guardrail",
    "Hindrance",
    "Holder",
    "Identity",
    "Limit",
    "LogCreated",
    "LogHealed",
    "LogImported",
    "Measured",
    "Meta",
    "ModelRegistered",
    "ModelRetired",
    "ModelRevived",
    "ModelUpdated",
    "Numbering",
    "Observed",
    "Origin",
    "Role",
    "SecretRef",
    "Supplied",
    "TargetChanged",
    "TargetCreated",
    "TargetRemoved",
    "TrafficChanged",
    "Variant",
    "Verdict",
    "VersionArchived",
    "VersionPromoted",
    "VersionRegistered",
    "VersionRolledBack",
    "VersionUpdated",
]

EVENT_TYPES: dict[str, type[Event]] = {
    cls.TYPE: cls
    for cls in (
        ModelRegistered,
        ModelUpdated,
        ModelRetired,
        ModelRevived,
        VersionRegistered,
        VersionUpdated,
        EvaluationRecorded,
        CheckReported,
        VersionPromoted,
        VersionRolledBack,
        VersionArchived,
        AliasAssigned,
        AliasRemoved,
        EnvironmentDefined,
        TargetCreated,
        TargetChanged,
        TargetRemoved,
        EndpointCreated,
        EndpointUpdated,
        TrafficChanged,
        EndpointRolledBack,
        FollowRefused,
        DeploymentReported,
        ExperimentConcluded,
        EndpointRetired,
        LogCreated,
        LogImported,
        LogHealed,
    )
}
"""The closed table: an event type that is not here does not exist for this release."""
