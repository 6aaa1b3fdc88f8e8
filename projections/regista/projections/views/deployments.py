"""What targets told: the newest report of each target of an endpoint, and what became of every change on every target.

``endpoint_reports`` are intervals, [from_position, to_position): a late report on an older change does not hide what is
known of a newer one. ``endpoint_reporters`` are the targets that have any, ``deployments`` counts all reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import Change, Statement, insert, types_of, writes
from regista.projections.decoding import Item
from regista.projections.views.base import View, dispatch
from regista.projections.views.intervals import Intervals, Kept
from regista.projections.views.shares import observed_json, shares_of

_metadata = MetaData()
REPORTERS = Table(
    "endpoint_reporters",
    _metadata,
    Column("endpoint_key", Text, primary_key=True),
    Column("target_key", Text, primary_key=True),
    sqlite_with_rowid=False,
)
REPORTS = Table(
    "endpoint_reports",
    _metadata,
    Column("endpoint_key", Text, primary_key=True),
    Column("target_key", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("from_position", BigInteger, nullable=False),
    Column("target", Text, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("observed", Text, nullable=False),
    Column("shares", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
DEPLOYMENTS = Table(
    "deployments",
    _metadata,
    Column("endpoint_key", Text, primary_key=True),
    Column("change", BigInteger, primary_key=True),
    Column("target_key", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("observed", Text, nullable=False),
    Column("shares", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("reports", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_KEPT = Kept(REPORTS)
_INSERT_REPORTERS = insert(REPORTERS, ignore_conflicts=True)
_REPORTS, _FIRST_AT = 9, 10
_REPLACED = ("target", "state", "observed", "shares", "attempts", "detail", "at", "position")
_TELL = Statement(
    f"INSERT INTO {{deployments}} ({', '.join(column.name for column in DEPLOYMENTS.columns)}) VALUES {{rows}} "
    "ON CONFLICT (endpoint_key, change, target_key) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _REPLACED)}, "
    "reports = {deployments}.reports + excluded.reports",
    types_of(DEPLOYMENTS),
)


class _Fold:
    def __init__(self) -> None:
        self.reports = Intervals(_KEPT)
        self.reporters: set[tuple[str, str]] = set()
        self.deployments: dict[tuple[str, int, str], list[Any]] = {}

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        told = writes((_INSERT_REPORTERS, sorted(self.reporters)), (_TELL, list(self.deployments.values())))
        return [*self.reports.changes(), *told]


def _reported(fold: _Fold, item: Item) -> None:
    record = item.record
    target_key, change = record["target"].lower(), record["change"]
    told = record["target"], record["state"], observed_json(record["observed"]), shares_of(record["observed"])
    how = record["attempts"], record["detail"]
    key = item.key, change, target_key
    before = fold.deployments.get(key)
    reports, first_at = (1, item.time) if before is None else (before[_REPORTS] + 1, before[_FIRST_AT])
    fold.deployments[key] = [*key, *told, *how, reports, first_at, item.time, item.position]
    fold.reporters.add((item.key, target_key))
    newest = record["previous_change"]
    if newest is None or newest <= change:
        target, state, observed, shares = told
        fold.reports.begin(
            (item.key, target_key), item.position, target, change, state, observed, shares, *how, item.time
        )


def _updated(fold: _Fold, item: Item) -> None:
    """A target that joins has told nothing yet: what it told before it left is over."""
    before = {target.lower() for target in item.record["previous_targets"]}
    for target_key in {target.lower() for target in item.record["targets"]} - before:
        fold.reports.end((item.key, target_key), item.position)


_HANDLERS = {"DeploymentReported": _reported, "EndpointUpdated": _updated}


VIEW = View("deployments", 1, (REPORTERS, REPORTS, DEPLOYMENTS), _Fold, kinds=frozenset({"endpoint"}))
