"""Reports into counts, in one transaction: each once, each for the change that it belongs to.

A report counts for a change when all of its interval lies between the time at which the change took effect and the next
change. What lies across is in the windows alone: nobody can say which requests met which set. While the newest change has
not taken effect, or its endpoint is not known yet, later reports wait, ``MOST_WAITING`` of an endpoint at most.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from regista.metrics import known
from regista.metrics.checks import OLDEST
from regista.metrics.tables import CHANGES, ENDPOINTS, SEEN, TOTALS, WAITING, WINDOWS
from regista.metrics.totals import Totals, from_json, of, to_json, with_at_most
from regista.metrics.windows import oldest_kept, window_of
from regista.wire.inference import BusinessSum, InferenceReport, LatencyCounts
from regista.work.locks import remove

MOST_WAITING: Final = 10_000
MOST_VARIANTS: Final = 100
"""Variants of an endpoint in one window."""
MOST_METRICS: Final = 1_000
"""Business metrics of a variant: who names them by customers is not to fill the database."""
_LOOKED_BACK: Final = 20
_CHUNK: Final = 500
_ELSEWHERE: Final = "none"
_UNSETTLED: Final = "waits"
Placed = int | Literal["none", "waits"]


def add(connection: Connection, reports: Sequence[InferenceReport]) -> int:
    """Count reports, those that were not counted before; how many these were."""
    fresh = _unseen(connection, reports)
    _add_windows(connection, fresh)
    _place(connection, fresh)
    return len(fresh)


def settle(connection: Connection) -> int:
    """Count what waited for a change that took effect by now; how many these were."""
    taken_effect = (
        select(WAITING.c.key)
        .join(ENDPOINTS, ENDPOINTS.c.key == WAITING.c.key)
        .outerjoin(CHANGES, (CHANGES.c.key == ENDPOINTS.c.key) & (CHANGES.c.change == ENDPOINTS.c.change))
        .where(CHANGES.c.change.is_(None) | CHANGES.c.effective_at.is_not(None))
        .distinct()
    )
    settled = 0
    for key in sorted(connection.execute(taken_effect).scalars()):
        waited = delete(WAITING).where(WAITING.c.key == key).returning(WAITING.c.report)
        reports = connection.execute(waited).scalars().all()  # what comes to wait meanwhile is left for the next time
        _place(connection, [_report(json.loads(report)) for report in reports])
        settled += len(reports)
    return settled


def tidy(connection: Connection, now: datetime) -> None:
    """Forget windows and ids of reports that nobody can send any more."""
    oldest = (now - OLDEST).timestamp()
    remove(connection, SEEN, SEEN.c.ended_at < oldest)
    remove(connection, WINDOWS, WINDOWS.c.start < oldest_kept(now))
    remove(connection, WAITING, WAITING.c.ended_at < oldest)


def _unseen(connection: Connection, reports: Sequence[InferenceReport]) -> list[InferenceReport]:
    wanted = {(known.key_of(report.environment, report.endpoint), report.id): report for report in reports}
    rows = [{"key": key, "id": name, "ended_at": report.ended_at.timestamp()} for (key, name), report in wanted.items()]
    fresh = []
    rows.sort(key=lambda row: (row["key"], row["id"]))
    for at in range(0, len(rows), _CHUNK):
        written = _insert_new(connection, SEEN, rows[at : at + _CHUNK])
        fresh += [wanted[row.key, row.id] for row in written]
    return fresh


def _place(connection: Connection, reports: Iterable[InferenceReport]) -> None:
    by_key: defaultdict[str, list[InferenceReport]] = defaultdict(list)
    for report in reports:
        by_key[known.key_of(report.environment, report.endpoint)].append(report)
    for key in sorted(by_key):
        changes = connection.execute(
            select(CHANGES).where(CHANGES.c.key == key).order_by(CHANGES.c.change.desc()).limit(_LOOKED_BACK)
        ).all()
        unknown = not changes and known.find(connection, key) is None
        sums: defaultdict[tuple[int, str, str], Totals] = defaultdict(Totals)
        waiting = []
        for report in by_key[key]:
            place = _UNSETTLED if unknown else _belongs(report, changes)
            if isinstance(place, int):
                sums[place, report.artifact_digest, _region(report)] += of(report)
            elif place == _UNSETTLED:
                waiting.append(report)
        for (change, digest, region), totals in sorted(sums.items(), key=lambda item: item[0]):
            _add_to(connection, TOTALS, {"key": key, "change": change, "digest": digest, "region": region}, totals)
        _let_wait(connection, key, waiting)


def _belongs(report: InferenceReport, changes: Sequence[Row[Any]]) -> Placed:
    """The change that was in effect all the time; ``changes`` are the newest, the newest first."""
    begin, end = report.started_at.timestamp(), report.ended_at.timestamp()
    for change in changes:
        if end <= change.issued_at:
            continue
        if change.effective_at is None:
            return _UNSETTLED if change.ended_at is None else _ELSEWHERE
        within = begin >= change.effective_at and (change.ended_at is None or end <= change.ended_at)
        served = {(v.artifact_digest, v.region) for v in known.variants_of(change)}
        there = (report.artifact_digest, _region(report) or None)
        return int(change.change) if within and there in served else _ELSEWHERE
    return _ELSEWHERE


def _region(report: InferenceReport) -> str:
    """The region as environments spell theirs; empty where there is none."""
    return (report.region or "").lower()


def _let_wait(connection: Connection, key: str, reports: Sequence[InferenceReport]) -> None:
    if not reports:
        return
    count = select(func.count()).select_from(WAITING).where(WAITING.c.key == key)
    room = MOST_WAITING - int(connection.execute(count).scalar_one())
    rows = [
        {"key": key, "id": report.id, "ended_at": report.ended_at.timestamp(), "report": _text(report)}
        for report in reports[: max(0, room)]
    ]
    for at in range(0, len(rows), _CHUNK):
        connection.execute(WAITING.insert(), rows[at : at + _CHUNK])


def _add_windows(connection: Connection, reports: Sequence[InferenceReport]) -> None:
    sums: defaultdict[tuple[str, int, str, str], Totals] = defaultdict(Totals)
    versions = {}
    for report in reports:
        key = known.key_of(report.environment, report.endpoint)
        at = (key, window_of(report.ended_at), report.artifact_digest, _region(report))
        sums[at] += of(report)
        versions[at] = report.version
    for at in sorted(sums):
        key, start, digest, region = at
        keys = {"key": key, "start": start, "digest": digest, "region": region}
        _add_to(connection, WINDOWS, keys, sums[at], most=MOST_VARIANTS, version=versions[at])


def _add_to(
    connection: Connection, table: Table, keys: dict[str, Any], more: Totals, *, most: int | None = None, **fixed: str
) -> None:
    where = [table.c[name] == value for name, value in keys.items()]
    there = connection.execute(select(table.c.totals).where(*where).with_for_update()).scalar()
    if there is None:
        if most is not None:
            beside = (table.c.key == keys["key"], table.c.start == keys["start"])
            count = connection.execute(select(func.count()).select_from(table).where(*beside)).scalar_one()
            if count >= most:
                return
        counted = json.dumps(to_json(with_at_most(more, MOST_METRICS)))
        if _insert_new(connection, table, [{**keys, **fixed, "totals": counted}]):
            return
        # Another process was faster.
        there = connection.execute(select(table.c.totals).where(*where).with_for_update()).scalar_one()
    before = from_json(json.loads(there))
    summed = with_at_most(before + more, MOST_METRICS, before.business)
    connection.execute(update(table).where(*where), {"totals": json.dumps(to_json(summed))})


def _insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> list[Row[Any]]:
    """Insert those whose keys are not there: their keys."""
    primary = list(table.primary_key.columns)
    if connection.dialect.name == "postgresql":
        statement = postgresql.insert(table).values(rows).on_conflict_do_nothing().returning(*primary)
        return list(connection.execute(statement).all())
    inserting = sqlite.insert(table).values(rows).on_conflict_do_nothing().returning(*primary)
    return list(connection.execute(inserting).all())


def _text(report: InferenceReport) -> str:
    times = {"started_at": report.started_at.isoformat(), "ended_at": report.ended_at.isoformat()}
    return json.dumps({**asdict(report), **times})


def _report(found: dict[str, Any]) -> InferenceReport:
    return InferenceReport(
        **{
            **found,
            "started_at": datetime.fromisoformat(found["started_at"]),
            "ended_at": datetime.fromisoformat(found["ended_at"]),
            "latency": LatencyCounts(tuple(found["latency"]["bounds"]), tuple(found["latency"]["counts"])),
            "business": {name: BusinessSum(**values) for name, values in found["business"].items()},
        }
    )
