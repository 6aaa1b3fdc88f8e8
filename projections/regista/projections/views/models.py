"""Models: their description, and what counts their versions.

``sequence`` is that of the last event of the model's stream: its ETag, as the answer shows stages and aliases too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import Change, Rewrite, Statement, Values, insert, writes
from regista.projections.decoding import Item, Record
from regista.projections.version_key import version_key
from regista.projections.views.base import View
from regista.projections.views.versions import dumps, merged

MODELS = Table(
    "models",
    MetaData(),
    Column("model_key", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("title", Text),
    Column("description", Text, nullable=False),
    Column("owner", Text),
    Column("tags", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("retired", BigInteger, nullable=False),
    Column("versions", BigInteger, nullable=False),
    Column("latest_version", Text),
    Column("latest_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 80},
)
_REWRITTEN = ("title", "description", "owner", "tags", "policy")
_RETIRED, _VERSIONS, _LATEST, _LATEST_KEY, _UPDATED, _SEQUENCE = 7, 8, 9, 10, 13, 14
_INSERT = insert(MODELS)
_TOUCH = Statement(
    "WITH v (model_key, sequence, time) AS (VALUES {rows}) UPDATE {models} SET sequence = v.sequence, "
    "updated_at = v.time FROM v WHERE {models}.model_key = v.model_key",
    (str, int, int),
)
_RETIRE = Statement(
    "WITH v (model_key, retired) AS (VALUES {rows}) UPDATE {models} SET retired = v.retired FROM v "
    "WHERE {models}.model_key = v.model_key",
    (str, int),
)
_COUNT = Statement(
    "WITH v (model_key, versions, latest, latest_key) AS (VALUES {rows}) UPDATE {models} SET "
    "versions = {models}.versions + v.versions, "
    "latest_version = CASE WHEN v.latest_key > {models}.latest_key THEN v.latest ELSE {models}.latest_version END, "
    "latest_key = CASE WHEN v.latest_key > {models}.latest_key THEN v.latest_key ELSE {models}.latest_key END "
    "FROM v WHERE {models}.model_key = v.model_key",
    (str, int, str, str),
)
_SELECT = f"SELECT {', '.join(_REWRITTEN)} FROM {{models}} WHERE model_key = ?"
_UPDATE = f"UPDATE {{models}} SET {', '.join(f'{column} = ?' for column in _REWRITTEN)} WHERE model_key = ?"


class _Fold:
    """Every event of a model's stream touches the model."""

    def __init__(self) -> None:
        self.models: dict[str, list[Any]] = {}
        self.touched: dict[str, tuple[int, int]] = {}
        self.retired: dict[str, int] = {}
        self.counted: dict[str, tuple[int, str, str]] = {}
        self.rewrites: list[Rewrite] = []

    def add(self, items: Sequence[Item]) -> None:
        for item in items:
            if not item.stream.startswith("model/"):
                continue
            handler = _HANDLERS.get(item.name)
            if handler is not None:
                handler(self, item)
            self.touch(item)

    def changes(self) -> list[Change]:
        changes = writes(
            (_INSERT, list(self.models.values())),
            (_COUNT, [(key, *counts) for key, counts in self.counted.items()]),
            (_RETIRE, list(self.retired.items())),
            (_TOUCH, [(key, *touched) for key, touched in self.touched.items()]),
        )
        return [*changes, *self.rewrites]

    def touch(self, item: Item) -> None:
        row = self.models.get(item.key)
        if row is None:
            self.touched[item.key] = (item.sequence, item.time)
        else:
            row[_SEQUENCE], row[_UPDATED] = item.sequence, item.time


def _registered(fold: _Fold, item: Item) -> None:
    record = item.record
    fold.models[item.key] = [
        item.key,
        record["model"],
        record["title"],
        record["description"],
        record["owner"],
        dumps(record["tags"]).decode(),
        record["policy"],
        0,
        0,
        None,
        "",
        item.time,
        item.meta["actor"],
        item.time,
        item.sequence,
    ]


def _updated(fold: _Fold, item: Item) -> None:
    key, record = item.key, item.record
    fold.rewrites.append(Rewrite(_SELECT, (key,), _UPDATE, lambda row: (*updated(row, record), key)))


def updated(row: Values, record: Record) -> Values:
    """The columns that an update may change, after it; the same order as read."""
    title, description, owner, tags, policy = row
    return (
        title if record["title"] is None else record["title"],
        description if record["description"] is None else record["description"],
        owner if record["owner"] is None else record["owner"],
        merged(tags, record["tags_set"], record["tags_removed"]),
        policy if record["policy"] is None else record["policy"],
    )


def _retired(fold: _Fold, item: Item) -> None:
    _set_retired(fold, item.key, 1)


def _revived(fold: _Fold, item: Item) -> None:
    _set_retired(fold, item.key, 0)


def _set_retired(fold: _Fold, key: str, retired: int) -> None:
    if key in fold.models:
        fold.models[key][_RETIRED] = retired
    else:
        fold.retired[key] = retired


def _counted(fold: _Fold, item: Item) -> None:
    version = item.record["version"]
    rank = version_key(version)
    row = fold.models.get(item.key)
    if row is not None:
        row[_VERSIONS] += 1
        if rank > row[_LATEST_KEY]:
            row[_LATEST], row[_LATEST_KEY] = version, rank
        return
    count, latest, latest_rank = fold.counted.get(item.key, (0, "", ""))
    fold.counted[item.key] = (count + 1, *((version, rank) if rank > latest_rank else (latest, latest_rank)))


_HANDLERS: dict[str, Callable[[_Fold, Item], None]] = {
    "ModelRegistered": _registered,
    "ModelUpdated": _updated,
    "ModelRetired": _retired,
    "ModelRevived": _revived,
    "VersionRegistered": _counted,
}


def replay(items: Sequence[Item]) -> dict[str, Any]:
    """The columns of a model as its own events up to a moment leave them, its registration the first."""
    result = _Fold()
    for item in items:
        _HANDLERS[item.name](result, item)
    columns = dict(zip((c.name for c in MODELS.columns), result.models[items[0].key], strict=True))
    for rewrite in result.rewrites:
        changed = rewrite.change([columns[name] for name in _REWRITTEN])
        columns.update(zip(_REWRITTEN, changed, strict=False))
    return columns


VIEW = View("models", 1, (MODELS,), _Fold)
