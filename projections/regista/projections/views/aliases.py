"""Where an alias pointed, as intervals of positions: [from_position, to_position)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from regista.projections.changes import FOREVER, Change, Statement, insert, open_end, writes
from regista.projections.decoding import Item
from regista.projections.views.base import View, dispatch

ALIASES = Table(
    "aliases",
    MetaData(),
    Column("model_key", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("ordinal", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    Column("from_position", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("previous_version", Text),
    sqlite_with_rowid=False,
)
_IS_OPEN = ALIASES.c.to_position == FOREVER
Index(
    None,
    ALIASES.c.model_key,
    ALIASES.c.ordinal,
    ALIASES.c.alias,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
_TO, _ORDINAL = 2, 3
_INSERT = insert(ALIASES)
_CLOSE = Statement(
    "WITH v (model_key, alias, position) AS (VALUES {rows}) UPDATE {aliases} SET to_position = v.position FROM v "
    "WHERE {aliases}.model_key = v.model_key AND {aliases}.alias = v.alias "
    f"AND {{aliases}}.to_position = {open_end('v.position')}",
    (str, str, int),
)


class _Fold:
    """Intervals that end and intervals that begin; one that does both within the fold is written once."""

    def __init__(self) -> None:
        self.opened: list[list[object]] = []
        self.closed: list[tuple[str, str, int]] = []
        self.open: dict[tuple[str, str], list[object]] = {}

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        return writes((_CLOSE, self.closed), (_INSERT, self.opened))

    def close(self, item: Item, alias: str) -> None:
        row = self.open.pop((item.key, alias), None)
        if row is None:
            self.closed.append((item.key, alias, item.position))
        else:
            row[_TO] = item.position


def _assigned(fold: _Fold, item: Item) -> None:
    record = item.record
    alias = record["alias"].lower()
    if record["previous_version"] is not None:
        fold.close(item, alias)
    row = [
        item.key,
        alias,
        FOREVER,
        record["ordinal"],
        record["version"],
        item.position,
        item.sequence,
        item.time,
        item.meta["actor"],
        item.meta["reason"],
        record["previous_version"],
    ]
    fold.open[item.key, alias] = row
    fold.opened.append(row)


def _removed(fold: _Fold, item: Item) -> None:
    fold.close(item, item.record["alias"].lower())


_HANDLERS = {"AliasAssigned": _assigned, "AliasRemoved": _removed}


def replay(items: Sequence[Item], ordinal: int) -> list[str]:
    """The aliases that the events leave at a version."""
    result = dispatch(_HANDLERS, _Fold(), items)
    return sorted(alias for (_, alias), row in result.open.items() if row[_ORDINAL] == ordinal)


VIEW = View("aliases", 1, (ALIASES,), _Fold)
