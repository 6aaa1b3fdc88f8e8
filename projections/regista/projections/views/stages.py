"""Which version was in which stage, as intervals of positions: [from_position, to_position).

A version is in one stage at a time. The open intervals of a stage stand together in the primary key, and so do those
that ended after a position, so that both the present and a past moment are one look-up.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import FOREVER, Change, Statement, insert, open_end, writes
from regista.projections.decoding import Item
from regista.projections.views.base import View, dispatch

ARCHIVE = "archived"
"""The stage that an archived version goes to."""

STAGES = Table(
    "stages",
    MetaData(),
    Column("model_key", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True),
    Column("version", Text, nullable=False),
    Column("from_position", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("how", Text, nullable=False),
    Column("previous_version", Text),
    sqlite_with_rowid=False,
)
_TO, _ORDINAL = 2, 3
_INSERT = insert(STAGES)
_CLOSE = Statement(
    "WITH v (model_key, stage, ordinal, position) AS (VALUES {rows}) UPDATE {stages} SET to_position = v.position FROM v "
    "WHERE {stages}.model_key = v.model_key AND {stages}.stage = v.stage "
    f"AND {{stages}}.to_position = {open_end('v.position')} AND {{stages}}.ordinal = v.ordinal",
    (str, str, int, int),
)


class _Fold:
    """Intervals that end and intervals that begin; one that does both within the fold is written once."""

    def __init__(self) -> None:
        self.opened: list[list[object]] = []
        self.closed: list[tuple[str, str, int, int]] = []
        self._open: dict[tuple[str, str, int], list[object]] = {}

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        return writes((_CLOSE, self.closed), (_INSERT, self.opened))

    def enter(self, item: Item, stage: str, ordinal: int, version: str, how: str, previous: str | None = None) -> None:
        row = [
            item.key,
            stage,
            FOREVER,
            ordinal,
            version,
            item.position,
            item.time,
            item.meta["actor"],
            item.meta["reason"],
            how,
            previous,
        ]
        self._open[item.key, stage, ordinal] = row
        self.opened.append(row)

    def leave(self, item: Item, stage: str, ordinal: int) -> None:
        row = self._open.pop((item.key, stage, ordinal), None)
        if row is None:
            self.closed.append((item.key, stage, ordinal, item.position))
        else:
            row[_TO] = item.position

    def displace(self, item: Item, stage: str) -> None:
        for other in item.record["displaced"]:
            self.leave(item, stage, other["ordinal"])
            self.enter(item, other["to_stage"], other["ordinal"], other["version"], "displaced")


def _registered(fold: _Fold, item: Item) -> None:
    fold.enter(item, item.record["stage"], item.record["ordinal"], item.record["version"], "registered")


def _promoted(fold: _Fold, item: Item) -> None:
    record = item.record
    ordinal, stage = record["ordinal"], record["to_stage"]
    fold.displace(item, stage)
    fold.leave(item, record["from_stage"], ordinal)
    fold.enter(item, stage, ordinal, record["version"], "promoted", record["previous_version"])


def _rolled_back(fold: _Fold, item: Item) -> None:
    record = item.record
    ordinal, stage = record["ordinal"], record["stage"]
    fold.displace(item, stage)
    if record["from_stage"] != stage:
        fold.leave(item, record["from_stage"], ordinal)
        fold.enter(item, stage, ordinal, record["version"], "rolled-back", record["previous_version"])


def _archived(fold: _Fold, item: Item) -> None:
    record = item.record
    fold.leave(item, record["from_stage"], record["ordinal"])
    fold.enter(item, ARCHIVE, record["ordinal"], record["version"], "archived")


_HANDLERS = {
    "VersionRegistered": _registered,
    "VersionPromoted": _promoted,
    "VersionRolledBack": _rolled_back,
    "VersionArchived": _archived,
}


VIEW = View("stages", 1, (STAGES,), _Fold)
