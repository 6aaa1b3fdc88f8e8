"""What writes on environments, targets, endpoints and subscriptions answer. Weights are in percent here, as everywhere outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import orjson

from regista.domain import events as e
from regista.domain.endpoint import EndpointState
from regista.domain.environment import EnvironmentState
from regista.domain.subscription import SubscriptionState
from regista.domain.target import TargetState

Answer: TypeAlias = dict[str, Any]
_HUNDREDTHS = 100


def _environment(_: e.EnvironmentDefined, state: EnvironmentState) -> Answer:
    return {
        "environment": state.name,
        "description": state.description,
        "stages": list(state.stages),
        "regions": list(state.regions),
    }


def _target(_: e.Event, state: TargetState) -> Answer:
    """A target that was removed is told by its name alone."""
    if not state.exists:
        return {"target": state.name, "removed": True}
    return {
        "target": state.name,
        "removed": False,
        "kind": state.kind,
        "description": state.description,
        "settings": orjson.loads(state.settings),
        "secrets": [secret(kept) for kept in state.secrets],
    }


def _subscription(_: e.Event, state: SubscriptionState) -> Answer:
    """A subscription that was removed is told by its id alone."""
    if not state.exists:
        return {"subscription": state.name, "removed": True}
    now = state.now
    return {
        "subscription": state.name,
        "removed": False,
        "url": now.url,
        "types": list(now.types),
        "models": list(now.models),
        "streams": list(now.streams),
        "environments": list(now.environments),
        "actors": list(now.actors),
        "template": now.template,
        "description": now.description,
        "disabled": now.disabled,
        "disabled_reason": now.disabled_reason,
        "secrets": [secret(kept) for kept in now.secrets],
    }


def _endpoint(_: e.Event, state: EndpointState) -> Answer:
    return {
        "environment": state.environment,
        "endpoint": state.name,
        "model": state.model,
        "description": state.description,
        "targets": list(state.targets),
        "follow": state.follow,
        "automatic": state.automatic,
        "guardrails": [_guardrail(guardrail) for guardrail in state.guardrails],
        "retired": state.retired,
        "change": state.change,
        "variants": variants(state.variants),
        "canary": None if state.canary is None else _canary(state.canary),
    }


def _follow_refused(event: e.FollowRefused, state: EndpointState) -> Answer:
    reasons = [{"code": r.code, "detail": r.detail, "field": r.field, "hint": r.hint} for r in event.reasons]
    refused = {"followed": event.followed, "version": event.version, "code": event.code, "reasons": reasons}
    return {**_endpoint(event, state), "refused": refused}


def _reported(event: e.DeploymentReported, _: EndpointState) -> Answer:
    return {
        "environment": event.environment,
        "endpoint": event.endpoint,
        "model": event.model,
        "target": event.target,
        "change": event.change,
        "state": event.state,
        "observed": variants(event.observed),
    }


def _concluded(event: e.ExperimentConcluded, _: EndpointState) -> Answer:
    return {
        "environment": event.environment,
        "endpoint": event.endpoint,
        "model": event.model,
        "change": event.change,
        "step": event.step,
        "verdict": event.verdict,
    }


def secret(kept: e.SecretRef) -> Answer:
    """Where a secret is kept."""
    expires = None if kept.expires_at is None else kept.expires_at.isoformat().replace("+00:00", "Z")
    return {"name": kept.name, "id": kept.id, "fingerprint": kept.fingerprint, "expires_at": expires}


def variants(found: Iterable[e.Variant | e.Observed]) -> list[Answer]:
    """Variants, as they are or as they were observed."""
    return [
        {
            "version": variant.version,
            **({"ordinal": variant.ordinal} if isinstance(variant, e.Variant) else {}),
            "artifact_digest": variant.artifact_digest,
            "role": variant.role,
            "weight": variant.weight / _HUNDREDTHS,
            "mirror": variant.mirror / _HUNDREDTHS,
            "region": variant.region,
        }
        for variant in found
    ]


def _canary(canary: e.Canary) -> Answer:
    steps = [
        {
            "weight": step.weight / _HUNDREDTHS,
            "hold_seconds": step.hold_seconds,
            "minimum_requests": step.minimum_requests,
        }
        for step in canary.steps
    ]
    return {"version": canary.version, "ordinal": canary.ordinal, "step": canary.step, "steps": steps}


def _guardrail(guardrail: e.Guardrail) -> Answer:
    return {
        "metric": guardrail.metric,
        "limit": guardrail.limit,
        "relative_to_champion": guardrail.relative_to_champion,
        "value": guardrail.value,
        "minimum_samples": guardrail.minimum_samples,
    }


RESOURCES: Final[dict[type[e.Event], Callable[[Any, Any], Answer]]] = {
    e.EnvironmentDefined: _environment,
    e.TargetCreated: _target,
    e.TargetChanged: _target,
    e.TargetRemoved: _target,
    e.EndpointCreated: _endpoint,
    e.EndpointUpdated: _endpoint,
    e.TrafficChanged: _endpoint,
    e.EndpointRolledBack: _endpoint,
    e.FollowRefused: _follow_refused,
    e.DeploymentReported: _reported,
    e.ExperimentConcluded: _concluded,
    e.EndpointRetired: _endpoint,
    e.SubscriptionCreated: _subscription,
    e.SubscriptionChanged: _subscription,
    e.SubscriptionRemoved: _subscription,
}
CREATING: Final = (
    e.TargetCreated,
    e.EndpointCreated,
    e.DeploymentReported,
    e.ExperimentConcluded,
    e.SubscriptionCreated,
)
"""Events whose command is answered with 201."""
