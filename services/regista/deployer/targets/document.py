"""What an endpoint wants as one JSON document, and what a target says that it serves, read from one.

Weights and mirrored shares are percentages here, as everywhere in JSON: 12.5 is 1,250 hundredths of a percent.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regista.deployer.targets.base import TargetFailed, Wanted
from regista.domain.endpoint.commands import ObservedVariant
from regista.wire.deployments import Percent, Role, hundredths

TYPE = "regista.desired-state.v1"


class _Observed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    artifact_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    role: Role | None = None
    weight: Percent = 0
    mirror: Percent = 0
    region: Annotated[str, Field(max_length=128)] | None = None


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    observed: list[_Observed] | None = None


def document(wanted: Wanted) -> dict[str, Any]:
    """The whole of it; equal for equal changes."""
    return {
        "type": TYPE,
        "environment": wanted.environment,
        "endpoint": wanted.endpoint,
        "model": wanted.model,
        "change": wanted.change,
        "position": wanted.position,
        "log": wanted.log,
        "idempotency_key": wanted.idempotency_key,
        "actor": wanted.actor,
        "reason": wanted.reason,
        "time": wanted.time.isoformat(),
        "variants": [
            {
                "version": variant.version,
                "ordinal": variant.ordinal,
                "artifact_digest": variant.artifact_digest,
                "role": variant.role,
                "weight": variant.weight / 100,
                "mirror": variant.mirror / 100,
                "region": variant.region,
            }
            for variant in wanted.variants
        ],
    }


def encoded(value: dict[str, Any]) -> bytes:
    """The document as people read it."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def told(content: bytes, who: str, *, field: str = "observed") -> tuple[ObservedVariant, ...] | None:
    """What a document says is served, under ``field``; None when it says nothing about it.

    Raises:
        TargetFailed: ``bad_answer``, when it says so in another form.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or value.get(field) is None:
        return None
    try:
        found = _Told.model_validate({"observed": value[field]}).observed or []
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise TargetFailed(
            f"{who} says what it serves in a form that is not understood: "
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}",
            code="bad_answer",
            hint="A list of {artifact_digest, role, weight, mirror, region}; weights are percentages.",
            retryable=False,
        ) from error
    return tuple(
        ObservedVariant(v.artifact_digest, v.role or "unknown", hundredths(v.weight), hundredths(v.mirror), v.region)
        for v in found
    )
