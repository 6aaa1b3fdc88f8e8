"""What the registry is told of deployments, as commands that are kept until it has answered them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from regista.artifacts.digests import is_digest
from regista.deployer.reactions import Intent
from regista.domain.endpoint.commands import ObservedVariant
from regista.work.orders import Order

ReportState: TypeAlias = Literal["succeeded", "failed", "superseded"]
LONGEST_DETAIL: Final = 2_000
"""Characters: an event is kept for ever."""
MOST_OBSERVED: Final = 1_000
_LONGEST_REGION: Final = 128
_EVERYTHING: Final = 10_000
_ROLES: Final = frozenset({"champion", "challenger", "canary", "shadow", "unknown"})
_HASHED: Final = 16


def report(
    intent: Intent, state: ReportState, observed: Sequence[ObservedVariant], detail: str, attempts: int, what: str
) -> Order:
    """Tell what became of a change on a target. ``what`` tells the reports on one action apart, and from those of another run.

    What a target says that it serves is told as far as the registry can write it down: the rest is only counted, so
    that what became of the change is told in any case.
    """
    shown = [variant for variant in observed if _can_be_told(variant)][:MOST_OBSERVED]
    if left_out := len(observed) - len(shown):
        detail = f"{left_out} of {len(observed)} variants that it tells of are no such thing; {detail}"
    arguments = {
        "environment": intent.environment,
        "endpoint": intent.endpoint,
        "target": intent.target,
        "change": intent.change,
        "state": state,
        "observed": [_shown(variant) for variant in shown],
        "detail": printable(detail),
        "attempts": attempts,
    }
    lane = f"{intent.stream} {intent.target.lower()}"
    # Names may be as long as a key may be; one position may concern many endpoints.
    digest = sha256(lane.encode()).hexdigest()[:_HASHED]
    key = f"deployer:{intent.log_id}:{intent.position}:{digest}:{what}"
    return Order(key, lane, "report_deployment", arguments, intent.cause)


def printable(text: str) -> str:
    """What may stand in an event: no control characters, and not too long."""
    clean = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return clean if len(clean) <= LONGEST_DETAIL else f"{clean[: LONGEST_DETAIL - 1]}…"


def _can_be_told(variant: ObservedVariant) -> bool:
    region = variant.region or ""
    return (
        is_digest(variant.artifact_digest)
        and variant.role in _ROLES
        and all(0 <= share <= _EVERYTHING for share in (variant.weight, variant.mirror))
        and len(region) <= _LONGEST_REGION
        and region.isprintable()
    )


def _shown(variant: ObservedVariant) -> dict[str, Any]:
    """Weights are percentages over HTTP."""
    return {**asdict(variant), "weight": variant.weight / 100, "mirror": variant.mirror / 100}
