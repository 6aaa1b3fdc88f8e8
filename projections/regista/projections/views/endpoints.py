"""Endpoints: what describes them, and what was to be served there when, as intervals: [from_position, to_position).

``endpoint_changes`` has the creation as a change to nothing: at every moment since then one of its intervals holds, and
says whether the endpoint is retired. ``endpoint_notes`` has what was last refused and last concluded. ``servings`` names
the endpoints that a version was ever given traffic by, ``environment_events`` everything that happened in an environment.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from regista.projections.changes import Change, insert, writes
from regista.projections.decoding import Item, Record
from regista.projections.views.base import View
from regista.projections.views.intervals import Intervals, Kept
from regista.projections.views.shares import NOTHING, canary_json, shares_of, variants_json
from regista.projections.views.versions import dumps

CREATED, CHANGED, ROLLED_BACK, RETIRED = "created", "traffic-changed", "rolled-back", "retired"
"""How what is to be served came about."""
REFUSED, CONCLUDED = "refused", "concluded"
SEPARATOR = ","
"""Around every name in ``target_keys``; no name has one."""

_metadata = MetaData()
ENDPOINTS = Table(
    "endpoints",
    _metadata,
    Column("endpoint_key", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("from_position", BigInteger, nullable=False),
    Column("environment", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model_key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("targets", Text, nullable=False),
    Column("target_keys", Text, nullable=False),
    Column("target_count", BigInteger, nullable=False),
    Column("follow", Text),
    Column("automatic", BigInteger, nullable=False),
    Column("guardrails", Text, nullable=False),
    Column("description", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index(None, ENDPOINTS.c.model_key, ENDPOINTS.c.endpoint_key)
CHANGES = Table(
    "endpoint_changes",
    _metadata,
    Column("endpoint_key", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("from_position", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("how", Text, nullable=False),
    Column("to_deploy", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("variants", Text, nullable=False),
    Column("canary", Text),
    Column("shares", Text, nullable=False),
    Column("restores", BigInteger),
    Column("since", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("cause", Text),
    sqlite_with_rowid=False,
)
NOTES = Table(
    "endpoint_notes",
    _metadata,
    Column("endpoint_key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("to_position", BigInteger, primary_key=True),
    Column("from_position", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("cause", Text),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)
SERVINGS = Table(
    "servings",
    _metadata,
    Column("model_key", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("endpoint_key", Text, primary_key=True),
    sqlite_with_rowid=False,
)
Index(None, SERVINGS.c.endpoint_key)
ENVIRONMENT_EVENTS = Table(
    "environment_events",
    _metadata,
    Column("environment_key", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
_ENDPOINTS, _CHANGES, _NOTES = Kept(ENDPOINTS), Kept(CHANGES), Kept(NOTES)
_INSERT_SERVINGS = insert(SERVINGS, ignore_conflicts=True, late=True)
_INSERT_EVENTS = insert(ENVIRONMENT_EVENTS, late=True)
_REFUSED = ("followed", "version", "ordinal", "artifact_digest", "code", "reasons", "change")
_CONCLUDED = ("change", "step", "verdict", "measured", "explanation")


class _Fold:
    def __init__(self) -> None:
        self.endpoints = Intervals(_ENDPOINTS)
        self.traffic = Intervals(_CHANGES)
        self.notes = Intervals(_NOTES)
        self.servings: set[tuple[str, str, str]] = set()
        self._events: list[tuple[str, int]] = []

    def add(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.kind in _KINDS:
                self._events.append((item.key.partition("/")[0], item.position))
                handler = _HANDLERS.get(item.name)
                if handler is not None:
                    handler(self, item)

    def changes(self) -> list[Change]:
        return [
            *self.endpoints.changes(),
            *self.traffic.changes(),
            *self.notes.changes(),
            *writes((_INSERT_SERVINGS, sorted(self.servings)), (_INSERT_EVENTS, self._events)),
        ]

    def describe(self, item: Item) -> None:
        record = item.record
        keys = [target.lower() for target in record["targets"]]
        self.endpoints.begin(
            (item.key,),
            item.position,
            record["environment"],
            record["endpoint"],
            record["model"].lower(),
            record["model"],
            dumps(record["targets"]).decode(),
            SEPARATOR + "".join(key + SEPARATOR for key in keys),
            len(keys),
            record["follow"],
            int(record["automatic"]),
            dumps(record["guardrails"]).decode(),
            record["description"],
        )

    def change(
        self,
        item: Item,
        how: str,
        variants: Sequence[Record] = (),
        canary: Record | None = None,
        restores: int | None = None,
        *,
        to_deploy: bool = True,
    ) -> None:
        """``to_deploy``: targets are to be told of it."""
        meta = item.meta
        self.traffic.begin(
            (item.key,),
            item.position,
            item.sequence,
            how,
            int(to_deploy),
            item.record["model"],
            variants_json(variants) if variants else NOTHING,
            canary_json(canary),
            shares_of(variants),
            restores,
            item.time,
            meta["actor"],
            meta["reason"],
            meta["cause"],
        )
        model = item.record["model"].lower()
        self.servings.update((model, variant["version"], item.key) for variant in variants)

    def note(self, item: Item, kind: str, names: Sequence[str]) -> None:
        body = dumps({name: item.record[name] for name in names}).decode()
        meta = item.meta
        self.notes.begin((item.key, kind), item.position, item.time, meta["actor"], meta["reason"], meta["cause"], body)


def _created(fold: _Fold, item: Item) -> None:
    """Anew after retirement: nothing of before is told of it."""
    fold.describe(item)
    fold.change(item, CREATED, to_deploy=False)
    fold.note(item, CREATED, ())
    for kind in (REFUSED, CONCLUDED):
        fold.notes.end((item.key, kind), item.position)


def _updated(fold: _Fold, item: Item) -> None:
    fold.describe(item)


def _traffic_changed(fold: _Fold, item: Item) -> None:
    fold.change(item, CHANGED, item.record["variants"], canary=item.record["canary"])


def _rolled_back(fold: _Fold, item: Item) -> None:
    fold.change(item, ROLLED_BACK, item.record["variants"], restores=item.record["restores"])


def _retired(fold: _Fold, item: Item) -> None:
    fold.change(item, RETIRED, to_deploy=item.record["previous_change"] is not None)


def _follow_refused(fold: _Fold, item: Item) -> None:
    fold.note(item, REFUSED, _REFUSED)


def _concluded(fold: _Fold, item: Item) -> None:
    fold.note(item, CONCLUDED, _CONCLUDED)


_HANDLERS = {
    "EndpointCreated": _created,
    "EndpointUpdated": _updated,
    "TrafficChanged": _traffic_changed,
    "EndpointRolledBack": _rolled_back,
    "EndpointRetired": _retired,
    "FollowRefused": _follow_refused,
    "ExperimentConcluded": _concluded,
}
_KINDS = frozenset({"endpoint", "environment"})


VIEW = View("endpoints", 1, (ENDPOINTS, CHANGES, NOTES, SERVINGS, ENVIRONMENT_EVENTS), _Fold, kinds=_KINDS)
