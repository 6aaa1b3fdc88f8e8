"""Live figures of what is served, from the newest complete windows: for gauges and answers."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from regista.metrics.tables import ENDPOINTS, WINDOWS
from regista.metrics.totals import Totals, from_json
from regista.metrics.windows import WIDTH, window_of

LOOKED_AT: Final = 6
"""Complete windows that a figure is of: a minute."""
MOST_FIGURES: Final = 1_000
"""Variants with gauges; what more there are have none."""


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """What a variant was asked and answered in the last minute. ``region`` is empty where there is none."""

    environment: str
    endpoint: str
    version: str
    region: str
    seconds: float
    totals: Totals


def figures(connection: Connection, now: datetime) -> tuple[VariantFigures, ...]:
    """The figures of all variants that were reported of lately."""
    this = window_of(now)
    rows = connection.execute(
        select(WINDOWS, ENDPOINTS.c.environment, ENDPOINTS.c.endpoint)
        .join(ENDPOINTS, ENDPOINTS.c.key == WINDOWS.c.key)
        .where(WINDOWS.c.start >= this - LOOKED_AT * WIDTH, WINDOWS.c.start < this)
    ).all()
    sums: defaultdict[tuple[str, str, str, str], Totals] = defaultdict(Totals)
    for row in rows:
        sums[row.environment, row.endpoint, row.version, row.region] += totals_of(row)
    found = sorted(sums.items(), key=lambda item: item[0])[:MOST_FIGURES]
    return tuple(VariantFigures(*names, LOOKED_AT * WIDTH, totals) for names, totals in found)


def totals_of(row: Row[Any]) -> Totals:
    """What a row counts."""
    return from_json(json.loads(row.totals))
