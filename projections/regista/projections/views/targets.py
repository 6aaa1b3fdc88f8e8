"""Targets as they are; one that was removed as it was before. Of secrets there is but the id and the fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import Change, upsert, writes
from regista.projections.decoding import Item
from regista.projections.views.base import View, dispatch
from regista.projections.views.versions import dumps

TARGETS = Table(
    "targets",
    MetaData(),
    Column("target_key", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("target", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("reason", Text),
    sqlite_with_rowid=False,
)
_UPSERT = upsert(TARGETS)


class _Fold:
    """The last event of a target says all of it."""

    def __init__(self) -> None:
        self.targets: dict[str, tuple[Any, ...]] = {}

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        return writes((_UPSERT, list(self.targets.values())))

    def put(self, item: Item, before: str, removed: int) -> None:
        record = item.record
        self.targets[item.key] = (
            item.key,
            item.sequence,
            record["target"],
            record[f"{before}kind"],
            record[f"{before}description"],
            record[f"{before}settings"],
            dumps(record[f"{before}secrets"]).decode(),
            removed,
            item.time,
            item.meta["actor"],
            item.meta["reason"],
        )


def _put(fold: _Fold, item: Item) -> None:
    fold.put(item, "", 0)


def _removed(fold: _Fold, item: Item) -> None:
    fold.put(item, "previous_", 1)


_HANDLERS = {"TargetCreated": _put, "TargetChanged": _put, "TargetRemoved": _removed}


VIEW = View("targets", 1, (TARGETS,), _Fold, kinds=frozenset({"target"}))
