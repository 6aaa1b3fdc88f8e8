"""Subscriptions as they are; one that was removed as it was before. Of addresses there is but the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import Change, upsert, writes
from regista.projections.decoding import Item, Record
from regista.projections.views.base import View, dispatch
from regista.projections.views.versions import dumps

SUBSCRIPTIONS = Table(
    "subscriptions",
    MetaData(),
    Column("subscription_key", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("types", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("streams", Text, nullable=False),
    Column("environments", Text, nullable=False),
    Column("actors", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("disabled", BigInteger, nullable=False),
    Column("disabled_reason", Text),
    Column("secrets", Text, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("reason", Text),
    sqlite_with_rowid=False,
)
_UPSERT = upsert(SUBSCRIPTIONS)
_LISTS = ("types", "models", "streams", "environments", "actors")


class _Fold:
    """The last event of a subscription says all of it."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, tuple[Any, ...]] = {}

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        return writes((_UPSERT, list(self.subscriptions.values())))

    def put(self, item: Item, now: Record, removed: int) -> None:
        self.subscriptions[item.key] = (
            item.key,
            item.sequence,
            item.record["subscription"],
            now["url"],
            *(dumps(now[name]).decode() for name in _LISTS),
            now["template"],
            now["description"],
            int(now["disabled"]),
            now["disabled_reason"],
            dumps(now["secrets"]).decode(),
            removed,
            item.time,
            item.meta["actor"],
            item.meta["reason"],
        )


def _put(fold: _Fold, item: Item) -> None:
    fold.put(item, item.record, 0)


def _removed(fold: _Fold, item: Item) -> None:
    fold.put(item, item.record["previous"], 1)


_HANDLERS = {"SubscriptionCreated": _put, "SubscriptionChanged": _put, "SubscriptionRemoved": _removed}


VIEW = View("subscriptions", 1, (SUBSCRIPTIONS,), _Fold, kinds=frozenset({"subscription"}))
