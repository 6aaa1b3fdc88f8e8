"""Versions with all their metadata, evaluations and checks, and the digests by which they are found.

What registration fixed and filters do not ask for stands in its event alone: answers take it from there.
``description`` is null until it changes; ``supplied`` is what an incomplete import got later.
``sequence`` is that of the last event that touched the version: its ETag. Columns of JSON hold one object or list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from regista.projections.changes import Change, Rewrite, Statement, Values, insert, upsert, writes
from regista.projections.decoding import Item, Record
from regista.projections.version_key import version_key
from regista.projections.views.base import View, dispatch
from regista.projections.views.stages import ARCHIVE

_metadata = MetaData()
VERSIONS = Table(
    "versions",
    _metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("model_key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("version_key", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("author", Text),
    Column("format", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("incomplete", Text, nullable=False),
    Column("waived", Text, nullable=False),
    Column("description", Text),
    Column("model_card", Text),
    Column("supplied", Text),
    postgresql_with={"fillfactor": 80},
)
Index(None, VERSIONS.c.model_key, VERSIONS.c.ordinal, unique=True)
Index(None, VERSIONS.c.model_key, VERSIONS.c.version_key, unique=True)
DIGESTS = Table(
    "digests",
    _metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
EVALUATIONS = Table(
    "evaluations",
    _metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("model_key", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("dataset", Text),
    Column("slice", Text),
    Column("metrics", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
)
Index(None, EVALUATIONS.c.model_key, EVALUATIONS.c.ordinal)
CHECKS = Table(
    "checks",
    _metadata,
    Column("model_key", Text, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("url", Text),
    Column("summary", Text),
    Column("time", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    sqlite_with_rowid=False,
)

_STAGE, _SEQUENCE = 6, 7
_REWRITTEN = ("description", "tags", "model_card", "metrics", "author", "incomplete", "waived", "supplied")
_INSERT, _INSERT_DIGESTS, _INSERT_EVALUATIONS = (
    insert(VERSIONS),
    insert(DIGESTS, ignore_conflicts=True, late=True),
    insert(EVALUATIONS),
)
_UPSERT_CHECKS = upsert(CHECKS)
_TOUCH = Statement(
    "WITH v (model_key, version_key, sequence, stage) AS (VALUES {rows}) UPDATE {versions} "
    "SET sequence = v.sequence, stage = coalesce(v.stage, {versions}.stage) FROM v "
    "WHERE {versions}.model_key = v.model_key AND {versions}.version_key = v.version_key",
    (str, str, int, str),
)
_WHERE = "FROM {versions} WHERE model_key = ? AND ordinal = ?"
_SELECT = f"SELECT {', '.join(_REWRITTEN)} {_WHERE}"
_UPDATE = (
    f"UPDATE {{versions}} SET {', '.join(f'{column} = ?' for column in _REWRITTEN)} WHERE model_key = ? AND ordinal = ?"
)


def digest_bytes(digest: str) -> bytes:
    """The 32 bytes of a written digest, with or without ``sha256:``."""
    return bytes.fromhex(digest.removeprefix("sha256:"))


def dumps(value: object) -> bytes:
    """Compact JSON, times in UTC as ``Z``."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


class _Fold:
    """New versions first, then what changed on older ones, then the rare rewrites in their order.

    A version that is registered in it is changed in place, an older one by statement.
    """

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], list[Any]] = {}
        self.digests: list[tuple[bytes, int]] = []
        self.evaluations: list[Values] = []
        self.checks: dict[tuple[str, int, str], Values] = {}
        self.touched: dict[tuple[str, str], int] = {}
        self.moved: dict[tuple[str, str], str] = {}
        self.rewrites: list[Rewrite] = []

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        changes = writes(
            (_INSERT, list(self.versions.values())),
            (_INSERT_DIGESTS, self.digests),
            (_INSERT_EVALUATIONS, self.evaluations),
            (_UPSERT_CHECKS, list(self.checks.values())),
            (_TOUCH, [_touched(key, sequence, self.moved.get(key)) for key, sequence in self.touched.items()]),
        )
        return [*changes, *self.rewrites]

    def touch(self, item: Item, version: str) -> None:
        row = self.versions.get((item.key, version))
        if row is None:
            self.touched[item.key, version] = item.sequence
        else:
            row[_SEQUENCE] = item.sequence

    def move(self, item: Item, version: str, stage: str) -> None:
        row = self.versions.get((item.key, version))
        if row is None:
            self.moved[item.key, version] = stage
        else:
            row[_STAGE] = stage
        self.touch(item, version)

    def displace(self, item: Item) -> None:
        for other in item.record["displaced"]:
            self.move(item, other["version"], other["to_stage"])


def _registered(fold: _Fold, item: Item) -> None:
    record, position, version = item.record, item.position, item.record["version"]
    artifact = record["artifact"]
    fold.versions[item.key, version] = [
        position,
        item.key,
        record["model"],
        version,
        version_key(version),
        record["ordinal"],
        record["stage"],
        item.sequence,
        item.time,
        item.meta["actor"],
        record["author"],
        artifact["format"],
        artifact["digest"],
        dumps(record["metrics"]).decode(),
        dumps(record["params"]).decode(),
        dumps(record["tags"]).decode(),
        dumps(record["incomplete"]).decode(),
        "[]",
        None,
        None,
        None,
    ]
    digests = (artifact["digest"], *(file["sha256"] for file in artifact["files"]))
    fold.digests.extend((digest_bytes(digest), position) for digest in digests if digest)


def _updated(fold: _Fold, item: Item) -> None:
    record = item.record
    key = (item.key, record["ordinal"])
    fold.rewrites.append(Rewrite(_SELECT, key, _UPDATE, lambda row: (*updated(row, record), *key)))
    fold.touch(item, record["version"])


def updated(row: Values, record: Record) -> Values:
    """The columns that an update may change, after it; the same order as read."""
    description, tags, card, metrics, author, _, waived, known = row
    supplied = record["supplied"]
    if record["tags_set"] or record["tags_removed"]:
        tags = merged(tags, record["tags_set"], record["tags_removed"])
    if record["waived"]:
        waived = dumps(sorted({*orjson.loads(waived), *record["waived"]})).decode()
    if supplied is not None:
        metrics = merged(metrics, supplied["metrics"], ())
        author = author if supplied["author"] is None else supplied["author"]
        known = added(known, supplied)
    return (
        description if record["description"] is None else record["description"],
        tags,
        card if record["model_card"] is None else record["model_card"],
        metrics,
        author,
        dumps(record["incomplete"]).decode(),
        waived,
        known,
    )


def merged(text: str, added: Mapping[str, Any], removed: Sequence[str]) -> str:
    """A JSON object with entries added or replaced, then others removed."""
    values = {**orjson.loads(text), **added}
    return dumps({name: value for name, value in values.items() if name not in removed}).decode()


def added(text: str | None, supplied: Record) -> str:
    """What was supplied before, if anything, with what is supplied now."""
    known = {"code": None, "datasets": [], "trained_at": None} if text is None else orjson.loads(text)
    known["code"] = supplied["code"] or known["code"]
    known["datasets"] = [*known["datasets"], *supplied["datasets"]]
    known["trained_at"] = supplied["trained_at"] or known["trained_at"]
    return dumps(known).decode()


def _evaluated(fold: _Fold, item: Item) -> None:
    record = item.record
    dataset = None if record["dataset"] is None else dumps(record["dataset"]).decode()
    fold.evaluations.append(
        (
            item.position,
            item.key,
            record["ordinal"],
            dataset,
            record["slice"],
            dumps(record["metrics"]).decode(),
            item.time,
            item.meta["actor"],
        )
    )
    fold.touch(item, record["version"])


def _checked(fold: _Fold, item: Item) -> None:
    record = item.record
    key = (item.key, record["ordinal"], record["check"])
    fold.checks[key] = (*key, record["status"], record["url"], record["summary"], item.time, item.meta["actor"])
    fold.touch(item, record["version"])


def _promoted(fold: _Fold, item: Item) -> None:
    fold.displace(item)
    fold.move(item, item.record["version"], item.record["to_stage"])


def _rolled_back(fold: _Fold, item: Item) -> None:
    fold.displace(item)
    fold.move(item, item.record["version"], item.record["stage"])


def _archived(fold: _Fold, item: Item) -> None:
    fold.move(item, item.record["version"], ARCHIVE)


def _alias_moved(fold: _Fold, item: Item) -> None:
    for version in (item.record.get("version"), item.record["previous_version"]):
        if version is not None:
            fold.touch(item, version)


_HANDLERS: dict[str, Callable[[_Fold, Item], None]] = {
    "VersionRegistered": _registered,
    "VersionUpdated": _updated,
    "EvaluationRecorded": _evaluated,
    "CheckReported": _checked,
    "VersionPromoted": _promoted,
    "VersionRolledBack": _rolled_back,
    "VersionArchived": _archived,
    "AliasAssigned": _alias_moved,
    "AliasRemoved": _alias_moved,
}


def _touched(key: tuple[str, str], sequence: int, stage: str | None) -> Values:
    return key[0], version_key(key[1]), sequence, stage


@dataclass(frozen=True, slots=True)
class PastVersion:
    """A version as its own events up to a moment leave it: columns by name, evaluations and checks as rows."""

    columns: Mapping[str, Any]
    evaluations: Sequence[Values]
    checks: Sequence[Values]


def replay(items: Sequence[Item], version: str) -> PastVersion:
    """Fold the events that touched one version, its registration the first."""
    result = dispatch(_HANDLERS, _Fold(), items)
    columns = dict(zip((c.name for c in VERSIONS.columns), result.versions[items[0].key, version], strict=True))
    for rewrite in result.rewrites:
        changed = rewrite.change([columns[name] for name in _REWRITTEN])
        columns.update(zip(_REWRITTEN, changed, strict=False))
    ordinal = columns["ordinal"]
    checks = [row for (_, other, _), row in sorted(result.checks.items()) if other == ordinal]
    return PastVersion(columns, result.evaluations, checks)


VIEW = View("versions", 1, (VERSIONS, DIGESTS, EVALUATIONS, CHECKS), _Fold)
