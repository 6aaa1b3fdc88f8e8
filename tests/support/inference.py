"""Reports of what was measured, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from regista.domain.identifiers import new_id
from regista.wire.inference import BusinessSum, InferenceReport, LatencyCounts

NOW = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)
BOUNDS = (0.01, 0.1, 1.0)


def digest_of(version: str) -> str:
    """A digest that belongs to a version alone."""
    return "sha256:" + version.encode().hex().rjust(64, "0")


def report(
    version: str = "1.0.0",
    requests: int = 100,
    errors: int = 0,
    *,
    digest: str | None = None,
    region: str | None = None,
    ended_at: datetime = NOW,
    seconds: float = 1.0,
    values: Sequence[float] = (),
    counts: tuple[int, ...] | None = None,
    report_id: str | None = None,
    endpoint: str = "fraud",
) -> InferenceReport:
    """A report of prod/fraud; the answers took 10 to 100 ms."""
    business = {"revenue": BusinessSum(len(values), sum(values), sum(v * v for v in values))} if values else {}
    return InferenceReport(
        id=report_id or new_id(),
        environment="prod",
        endpoint=endpoint,
        region=region,
        version=version,
        artifact_digest=digest or digest_of(version),
        reporter="replica-1",
        started_at=ended_at - timedelta(seconds=seconds),
        ended_at=ended_at,
        requests=requests,
        errors=errors,
        latency=LatencyCounts(BOUNDS, counts or (0, requests, 0, 0)),
        business=business,
    )
