"""What is on trial now, out of the tables, and the verdicts on it, recorded before anybody is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from regista.domain.events import Variant
from regista.metrics import known
from regista.metrics.commands import MOST_SAID, tell
from regista.metrics.guardrails import Served
from regista.metrics.schedule import Place, Trial, conclude
from regista.metrics.tables import CHANGES, ENDPOINTS, TOTALS, VERDICTS
from regista.metrics.totals import Totals, from_json

_LOOKED_BACK: Final = 110
"""Changes that a champion's measurements are looked for in: a schedule has at most 100 steps."""


def judge_all(connection: Connection, now: datetime) -> int:
    """Record a verdict on whatever one follows for; how many were."""
    found = connection.execute(
        select(CHANGES)
        .join(ENDPOINTS, (ENDPOINTS.c.key == CHANGES.c.key) & (ENDPOINTS.c.change == CHANGES.c.change))
        .where(CHANGES.c.on_trial == 1, CHANGES.c.effective_at.is_not(None))
        .where(CHANGES.c.verdict.is_(None) | (CHANGES.c.verdict != "roll_back"))
    ).all()
    return sum(_judge(connection, change, now) for change in found)


def trial_of(connection: Connection, endpoint: Row[Any], change: Row[Any], now: datetime) -> Trial:
    """A change as it was measured so far."""
    variants = known.variants_of(change)
    totals = totals_of(connection, change)
    began = now.timestamp() if change.effective_at is None else change.effective_at
    held = max(0.0, (change.ended_at or now.timestamp()) - began)
    champions = (variant for variant in variants if variant.role == "champion")
    baselines = {v.region: _baseline(connection, change, v, totals, held) for v in champions}
    guardrails = known.guardrails_of(endpoint)
    return Trial(variants, known.canary_of(change), guardrails, held, totals, baselines)


def totals_of(connection: Connection, change: Row[Any]) -> dict[Place, Totals]:
    """What counts for a change, by variant."""
    rows = connection.execute(select(TOTALS).where(TOTALS.c.key == change.key, TOTALS.c.change == change.change)).all()
    return {(row.digest, row.region or None): from_json(json.loads(row.totals)) for row in rows}


def _judge(connection: Connection, change: Row[Any], now: datetime) -> bool:
    endpoint = known.find(connection, change.key)
    assert endpoint is not None  # it was joined
    trial = trial_of(connection, endpoint, change, now)
    conclusion = conclude(trial)
    if conclusion.verdict is None:
        return False
    same = (VERDICTS.c.key == change.key, VERDICTS.c.change == change.change)
    told = connection.execute(select(VERDICTS.c.verdict).where(*same).with_for_update()).scalars().all()
    # One that was told, and did not leave it open, or that the registry refused, is not told again. Where nobody acted
    # upon a good one, or could, harm that comes to light later is told all the same.
    final = {*told, change.verdict} - {"inconclusive", None}
    if conclusion.verdict in told or "roll_back" in final or (final and conclusion.verdict != "roll_back"):
        return False
    explanation = json.dumps(conclusion.explanation[:MOST_SAID])
    verdict = {"key": change.key, "change": change.change, "verdict": conclusion.verdict, "explanation": explanation}
    connection.execute(VERDICTS.insert(), verdict)
    step = None if trial.canary is None else trial.canary.step
    tell(connection, endpoint, change.change, step, conclusion.verdict, conclusion.measured, conclusion.explanation)
    return True


def _baseline(
    connection: Connection, change: Row[Any], champion: Variant, totals: Mapping[Place, Totals], held: float
) -> Served:
    """The champion's measurements: of this change, or of the newest before it, where it is asked nothing any more."""
    place = (champion.artifact_digest, champion.region)
    looked: Row[Any] | None = change
    for _ in range(_LOOKED_BACK if champion.weight == 0 else 0):
        looked = None if looked is None or looked.previous is None else _before(connection, looked)
        if looked is None or looked.effective_at is None:
            continue
        found = totals_of(connection, looked).get(place)
        if found is not None and found.requests > 0:
            seconds = max(0.0, (looked.ended_at or looked.effective_at) - looked.effective_at)
            return Served(champion.version, champion.region, found, seconds)
    return Served(champion.version, champion.region, totals.get(place, Totals()), held)


def _before(connection: Connection, change: Row[Any]) -> Row[Any] | None:
    return known.find_change(connection, change.key, change.previous)
