"""What every version was made from and evaluated on, and who uses a thing.

``upstream`` has one row per version: the things it was made from, as a JSON list of ``[node, relation]``. ``uses``
is the way back: from the hash of a node's id (64 bits; the list is the proof) to the versions that used it. A node's
id is ``kind:name``; names of models are in lower case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

from regista.projections.changes import Change, Rewrite, Values, insert, writes
from regista.projections.decoding import Item, Record
from regista.projections.views.base import View, dispatch
from regista.projections.views.versions import dumps

_metadata = MetaData()
UPSTREAM = Table(
    "upstream",
    _metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("node_hash", BigInteger, nullable=False),
    Column("node", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("edges", Text, nullable=False),
)
Index(None, UPSTREAM.c.node_hash)
USES = Table(
    "uses",
    _metadata,
    Column("node_hash", BigInteger, primary_key=True),
    Column("user_hash", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
_INSERT, _INSERT_USES = insert(UPSTREAM), insert(USES, ignore_conflicts=True, late=True)
_SELECT = "SELECT edges FROM {upstream} WHERE node_hash = ?"
_UPDATE = "UPDATE {upstream} SET edges = ? WHERE node_hash = ?"


@lru_cache(maxsize=16384)
def node_hash(node: str) -> int:
    """64 bits of BLAKE2b over a node's id, signed as databases have it."""
    return int.from_bytes(blake2b(node.encode(), digest_size=8).digest(), "big", signed=True)


def version_node(model: str, version: str) -> str:
    """The id of a version."""
    return f"version:{model.lower()}/{version}"


def _named(kind: str, thing: Record) -> str:
    """The id of a data set or feature set: by version, by digest where it has none, by both where both are known."""
    version, digest = thing.get("version"), thing.get("digest")
    name = f"{kind}:{thing['name']}"
    if version:
        name += f"@{version}"
    return f"{name}#{digest}" if digest else name


def things_used(record: Record) -> Iterator[tuple[str, str]]:
    """What a registration, or what was supplied later, says a version was made from: node and relation."""
    for dataset in record["datasets"]:
        yield _named("dataset", dataset), "trained-on"
    code = record["code"]
    if code is not None and (code["commit"] or code["snapshot"]):
        yield f"code:{code['commit'] or code['snapshot']}", "built-by"


def evaluated_on(evaluation: Record) -> Iterator[tuple[str, str]]:
    """The data set of an evaluation, where it is known."""
    if evaluation["dataset"] is not None:
        yield _named("dataset", evaluation["dataset"]), "evaluated-on"


def edges_of(record: Record) -> list[tuple[str, str]]:
    """All edges that a registration makes."""
    edges = list(things_used(record))
    edges += [(_named("features", f), "uses-features") for f in record["features"]]
    edges += dict.fromkeys([edge for evaluation in record["evaluations"] for edge in evaluated_on(evaluation)])
    edges += [(f"code:{c['commit']}", f"code-{c['role']}") for c in record["related_code"]]
    run = record["run"]
    if run is not None:
        edges.append((f"run:{run['tracker']}/{run['id']}", "logged-by"))
    edges += [(version_node(p["model"], p["version"]), p["relation"]) for p in record["parents"]]
    edges += [(version_node(d["model"], d["version"]), f"needs-{d['role']}") for d in record["dependencies"]]
    if record["artifact"]["digest"]:
        edges.append((f"artifact:{record['artifact']['digest']}", "stored-as"))
    edges.append((f"model:{record['model'].lower()}", "version-of"))
    return edges


class _Fold:
    """New versions with their edges, then what was learned of older ones."""

    def __init__(self) -> None:
        self.upstream: list[tuple[Any, ...]] = []
        self.uses: list[tuple[int, int]] = []
        self.rewrites: list[Rewrite] = []

    def add(self, items: Sequence[Item]) -> None:
        dispatch(_HANDLERS, self, items)

    def changes(self) -> list[Change]:
        return [*writes((_INSERT, self.upstream), (_INSERT_USES, self.uses)), *self.rewrites]


def _registered(fold: _Fold, item: Item) -> None:
    record = item.record
    node = f"version:{item.key}/{record['version']}"
    user = node_hash(node)
    edges = edges_of(record)
    label = f"{record['model']} {record['version']}"
    fold.upstream.append((item.position, user, node, label, dumps(edges).decode()))
    fold.uses += [(node_hash(used), user) for used, _ in edges]


def _updated(fold: _Fold, item: Item) -> None:
    if item.record["supplied"] is not None:
        _learned(fold, item, list(things_used(item.record["supplied"])))


def _evaluated(fold: _Fold, item: Item) -> None:
    if edges := list(evaluated_on(item.record)):
        _learned(fold, item, edges)


def _learned(fold: _Fold, item: Item, edges: Sequence[tuple[str, str]]) -> None:
    """Add edges to a version that is there."""
    user = node_hash(f"version:{item.key}/{item.record['version']}")

    def added(row: Values) -> Values:
        known = orjson.loads(row[0])
        return dumps([*known, *(list(edge) for edge in edges if list(edge) not in known)]).decode(), user

    fold.rewrites.append(Rewrite(_SELECT, (user,), _UPDATE, added))
    fold.uses.extend((node_hash(used), user) for used, _ in edges)


_HANDLERS = {"VersionRegistered": _registered, "VersionUpdated": _updated, "EvaluationRecorded": _evaluated}


VIEW = View("lineage", 1, (UPSTREAM, USES), _Fold)
