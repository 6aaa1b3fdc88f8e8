"""What is known of an endpoint's variants now: answers of the API, out of the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from regista.domain import events as e
from regista.domain.endpoint.endpoints import LATENCIES
from regista.metrics import known
from regista.metrics.commands import outcome
from regista.metrics.estimates import estimate
from regista.metrics.figures import totals_of
from regista.metrics.guardrails import Served, judge
from regista.metrics.schedule import Trial, conclude
from regista.metrics.tables import VERDICTS, WAITING, WINDOWS
from regista.metrics.totals import Totals, mean_and_deviation
from regista.metrics.trials import trial_of
from regista.metrics.windows import WIDTH, begins, window_of
from regista.wire.inference import (
    ChangeMetrics,
    EndpointMetrics,
    Estimated,
    Judged,
    VariantMetrics,
    Window,
)

SHOWN: Final = 30
"""Windows of each variant: five minutes."""
_HUNDREDTHS: Final = 100
_FINALITY: Final = ("roll_back", "promote", "proceed", "inconclusive")
"""Of several verdicts on a change the first of these is what stands."""


def endpoint_metrics(connection: Connection, key: str, now: datetime) -> EndpointMetrics | None:
    """All of an endpoint; None where there is none."""
    endpoint = known.find(connection, key)
    if endpoint is None:
        return None
    change = None if endpoint.change is None else known.find_change(connection, key, endpoint.change)
    trial = None if change is None else trial_of(connection, endpoint, change, now)
    waiting = connection.execute(select(WAITING.c.id).where(WAITING.c.key == key)).all()
    return EndpointMetrics(
        environment=endpoint.environment,
        endpoint=endpoint.endpoint,
        model=endpoint.model,
        automatic=bool(endpoint.automatic),
        change=None if change is None or trial is None else _change(connection, endpoint, change, trial),
        variants=list(_variants(connection, key, trial, now)),
        waiting=len(waiting),
    )


def _change(connection: Connection, endpoint: Row[Any], change: Row[Any], trial: Trial) -> ChangeMetrics:
    on = (VERDICTS.c.key == change.key, VERDICTS.c.change == change.change)
    told = connection.execute(select(VERDICTS).where(*on)).all()
    verdicts = sorted(told, key=lambda row: _FINALITY.index(row.verdict))
    acted = None if change.concluded is None else outcome(connection, endpoint, change.concluded)
    if verdicts:
        explanation = json.loads(verdicts[0].explanation)
    else:
        explanation = list(conclude(trial).explanation) if change.on_trial and change.effective_at is not None else []
    return ChangeMetrics(
        change=change.change,
        step=None if trial.canary is None else trial.canary.step,
        issued_at=_moment(change.issued_at),
        effective_at=None if change.effective_at is None else _moment(change.effective_at),
        verdict=change.verdict or (verdicts[0].verdict if verdicts else None),
        explanation=explanation,
        acted=acted,
    )


def _variants(connection: Connection, key: str, trial: Trial | None, now: datetime) -> Iterable[VariantMetrics]:
    this = window_of(now)
    rows = connection.execute(
        select(WINDOWS)
        .where(WINDOWS.c.key == key, WINDOWS.c.start > this - SHOWN * WIDTH)
        .order_by(WINDOWS.c.start, WINDOWS.c.digest, WINDOWS.c.region)
    ).all()
    served = () if trial is None else trial.variants
    seen = {(row.digest, row.region or None): row.version for row in rows}
    for variant in served:
        windows = [row for row in rows if (row.digest, row.region or None) == (variant.artifact_digest, variant.region)]
        seen.pop((variant.artifact_digest, variant.region), None)
        yield _variant(trial, variant, windows)
    for (digest, region), version in seen.items():
        windows = [row for row in rows if (row.digest, row.region or None) == (digest, region)]
        yield VariantMetrics(
            version=version,
            artifact_digest=digest,
            role="unknown",
            region=region,
            weight=None,
            requests=0,
            errors=0,
            metrics=[],
            guardrails=[],
            windows=[_window(row) for row in windows],
        )


def _variant(trial: Trial | None, variant: e.Variant, windows: Sequence[Row[Any]]) -> VariantMetrics:
    assert trial is not None  # it is served
    totals = trial.totals.get((variant.artifact_digest, variant.region), Totals())
    measured = Served(variant.version, variant.region, totals, trial.held)
    champion = trial.baselines.get(variant.region)
    judged = []
    if variant.role in {"canary", "challenger", "shadow"}:
        judged = [judge(guardrail, measured, champion) for guardrail in trial.guardrails]
    return VariantMetrics(
        version=variant.version,
        artifact_digest=variant.artifact_digest,
        role=variant.role,
        region=variant.region,
        weight=(variant.mirror if variant.role == "shadow" else variant.weight) / _HUNDREDTHS,
        requests=totals.requests,
        errors=totals.errors,
        metrics=list(_estimated(totals, trial.held)),
        guardrails=[
            Judged(
                metric=one.guardrail.metric,
                limit=one.guardrail.limit,
                bound=None if one.measured is None else one.measured.limit,
                relative_to_champion=one.guardrail.relative_to_champion,
                state=one.state,
                said=one.said,
            )
            for one in judged
        ],
        windows=[_window(row) for row in windows],
    )


def _estimated(totals: Totals, seconds: float) -> Iterable[Estimated]:
    for metric in ("requests", "errors", *LATENCIES, *sorted(totals.business)):
        found = estimate(metric, totals, seconds=seconds)
        if found is not None:
            high = found.high if isfinite(found.high) else None
            yield Estimated(metric=metric, value=found.value, low=found.low, high=high, samples=found.samples)


def _window(row: Row[Any]) -> Window:
    totals = totals_of(row)
    quantiles = {name: totals.latency.quantile(share) for name, share in LATENCIES.items()}
    return Window(
        started_at=begins(row.start).isoformat().replace("+00:00", "Z"),
        seconds=WIDTH,
        requests=totals.requests,
        errors=totals.errors,
        **{name: None if found is None else found.value for name, found in quantiles.items()},
        business={name: mean_and_deviation(values)[0] for name, values in totals.business.items() if values.count},
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
