"""What held in an environment when, as intervals of positions: [from_position, to_position)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import Change
from regista.projections.decoding import Item
from regista.projections.views.base import View, dispatch
from regista.projections.views.intervals import Intervals, Kept
from regista.projections.views.versions import dumps

ENVIRONMENTS = Table(
    "environments",
    MetaData(),
    Column("environment_key", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("from_position", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("environment", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("stages", Text, nullable=False),
    Column("regions", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    sqlite_with_rowid=False,
)
_KEPT = Kept(ENVIRONMENTS)


class _Fold:
    def __init__(self) -> None:
        self.environments = Intervals(_KEPT)

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        return self.environments.changes()


def _defined(fold: _Fold, item: Item) -> None:
    record = item.record
    fold.environments.begin(
        (item.key,),
        item.position,
        item.sequence,
        record["environment"],
        record["description"],
        dumps(record["stages"]).decode(),
        dumps(record["regions"]).decode(),
        item.time,
        item.meta["actor"],
        item.meta["reason"],
    )


_HANDLERS = {"EnvironmentDefined": _defined}


VIEW = View("environments", 1, (ENVIRONMENTS,), _Fold, kinds=frozenset({"environment"}))
