"""Reads of versions: one, now or at a position, and lists with filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.domain.errors import NotFound
from regista.domain.times import moment
from regista.projections.api.answers import Answer, check, encode, evaluation, joined, page, raw
from regista.projections.api.filter_sql import compile_filter
from regista.projections.api.moments import position_at
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.past import items_of
from regista.projections.api.registrations import Registration, completed, registration
from regista.projections.api.resolve import find_version, model_key, need_model
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader
from regista.projections.views import aliases, versions

_ALIASES = (
    "(SELECT json_group_array(alias) FROM (SELECT alias FROM aliases_v1 a WHERE a.model_key = v.model_key "
    f"AND a.ordinal = v.ordinal AND a.to_position = {FOREVER} ORDER BY alias) named)"
)
_COLUMNS = (
    "model",
    "version",
    "ordinal",
    "stage",
    "sequence",
    "position",
    "created_at",
    "created_by",
    "author",
    "metrics",
    "params",
    "tags",
    "incomplete",
    "waived",
    "description",
    "model_card",
    "supplied",
)
_FROM = (
    f"SELECT {', '.join(f'v.{column}' for column in _COLUMNS)}, {_ALIASES}, "
    "(SELECT value FROM events_v1 e WHERE e.position = v.position), "
    "EXISTS (SELECT 1 FROM evaluations_v1 e WHERE e.model_key = v.model_key AND e.ordinal = v.ordinal), "
    "EXISTS (SELECT 1 FROM checks_v1 c WHERE c.model_key = v.model_key AND c.ordinal = v.ordinal), "
    "(SELECT min(position) FROM catalogue WHERE state <> 'building') FROM versions_v1 v "
)
_BY_ORDINAL = f"{_FROM} WHERE v.model_key = ? AND v.ordinal = ?"
_BY_STAGE = (
    f"{_FROM} WHERE v.model_key = ?1 AND v.ordinal = (SELECT ordinal FROM stages_v1 WHERE model_key = ?1 AND stage = ?2 "
    f"AND to_position = {FOREVER} ORDER BY from_position DESC, ordinal LIMIT 1)"
)
_EVALUATIONS = (
    "SELECT dataset, slice, metrics, time, actor, position FROM evaluations_v1 "
    "WHERE model_key = ? AND ordinal = ? ORDER BY position"
)
_CHECKS = (
    "SELECT name, status, url, summary, time, actor FROM checks_v1 WHERE model_key = ? AND ordinal = ? ORDER BY name"
)
_SUMMARY = (
    "SELECT v.model, v.version, v.ordinal, v.stage, v.digest, v.format, v.author, v.created_at, v.created_by, "
    f"v.metrics, v.tags, v.incomplete, v.model_key, {_ALIASES} FROM versions_v1 v"
)


def holder(reader: Reader, key: str, stage: str) -> tuple[bytes, int, int] | None:
    """The hot path: the version that holds a stage, its sequence, and the position answered for; None: nobody does."""
    row = reader.row(_BY_STAGE, (key, stage))
    return None if row is None else (_encoded(reader, key, row), row[4], row[-1])


def version(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models/{model}/versions/{ref}``."""
    key = model_key(arguments["model"])
    if "at" in arguments:
        return _version_at(reader, key, arguments)
    ordinal, _ = find_version(reader, key, arguments["ref"])
    row = reader.row(_BY_ORDINAL, (key, ordinal))
    if row is None:
        raise NotFound(f"version {ordinal} of {key} is not there", code="unknown_version")
    return Answer(_encoded(reader, key, row), row[4])


def _encoded(reader: Reader, key: str, row: Sequence[Any]) -> bytes:
    columns = dict(zip(_COLUMNS, row, strict=False))
    named, value, evaluated, checked = row[len(_COLUMNS) : len(_COLUMNS) + 4]
    recorded = reader.rows(_EVALUATIONS, (key, columns["ordinal"])) if evaluated else ()
    checks = reader.rows(_CHECKS, (key, columns["ordinal"])) if checked else ()
    return _resource(columns, registration(columns["position"], value), raw(named), recorded, checks, None)


def _resource(
    columns: Mapping[str, Any],
    fixed: Registration,
    named: object,
    recorded: Sequence[Any],
    checks: Sequence[Any],
    at: int | None,
) -> bytes:
    changing = encode(
        {
            "model": columns["model"],
            "version": columns["version"],
            "ordinal": columns["ordinal"],
            "stage": columns["stage"],
            "aliases": named,
            "metrics": raw(columns["metrics"]),
            "evaluations": joined(fixed.evaluations, [evaluation(*row) for row in recorded]),
            "checks": [check(*row) for row in checks],
            "params": raw(columns["params"]),
            "author": columns["author"],
            "tags": raw(columns["tags"]),
            "description": fixed.description if columns["description"] is None else columns["description"],
            "model_card": columns["model_card"],
            "incomplete": raw(columns["incomplete"]),
            "waived": raw(columns["waived"]),
            "created_at": moment(columns["created_at"]),
            "created_by": columns["created_by"],
            "position": columns["position"],
            "sequence": columns["sequence"],
            "at": at,
        }
    )
    return b"%b,%b" % (changing[:-1], completed(fixed.document, columns["supplied"])[1:])


def _version_at(reader: Reader, key: str, arguments: Mapping[str, Any]) -> Answer:
    """The fold of the version's events up to a position."""
    at = position_at(reader, arguments["at"])
    ordinal, number = find_version(reader, key, arguments["ref"], at)
    items = items_of(reader, key, number, at)
    past = versions.replay(items, number)
    recorded = [
        (dataset, part, metrics, time, actor, p) for p, _, _, dataset, part, metrics, time, actor in past.evaluations
    ]
    checks = [row[2:] for row in past.checks]
    fixed = registration(items[0].position, items[0].value)
    return Answer(_resource(past.columns, fixed, aliases.replay(items, ordinal), recorded, checks, at))


def versions_of(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models/{model}/versions``: by ordinal, the newest first."""
    key = model_key(arguments["model"])
    need_model(reader, key)
    ascending = arguments.get("order") == "asc"
    condition, values = compile_filter(arguments.get("filter"), reader.dialect)
    query = query_id("versions_of", key, arguments.get("filter"), ascending)
    after = read_page(arguments.get("page"), query, int)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    bound, order = (">", "ASC") if ascending else ("<", "DESC")
    start = after[0] if after is not None else (0 if ascending else FOREVER)
    sql = f"{_SUMMARY} WHERE v.model_key = ? AND v.ordinal {bound} ? AND {condition} ORDER BY v.ordinal {order} LIMIT ?"
    rows = reader.rows(sql, (key, start, *values, limit + 1))
    following = next_page(query, [rows[limit - 1][2]]) if len(rows) > limit else None
    return page([_summary(row) for row in rows[:limit]], following)


def search(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/versions``: of all models, by name and ordinal."""
    condition, values = compile_filter(arguments.get("filter"), reader.dialect)
    query = query_id("search", arguments.get("filter"))
    after = read_page(arguments.get("page"), query, str, int) or ("", 0)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    sql = f"{_SUMMARY} WHERE (v.model_key, v.ordinal) > (?, ?) AND {condition} ORDER BY v.model_key, v.ordinal LIMIT ?"
    rows = reader.rows(sql, (*after, *values, limit + 1))
    following = next_page(query, [rows[limit - 1][12], rows[limit - 1][2]]) if len(rows) > limit else None
    return page([_summary(row) for row in rows[:limit]], following)


def _summary(row: Sequence[Any]) -> dict[str, Any]:
    model, number, ordinal, stage, digest, format_, author, created_at, created_by, metrics, tags, incomplete = row[:12]
    return {
        "model": model,
        "version": number,
        "ordinal": ordinal,
        "stage": stage,
        "aliases": raw(row[13]),
        "artifact": {"digest": digest},
        "format": format_,
        "author": author,
        "created_at": moment(created_at),
        "created_by": created_by,
        "metrics": raw(metrics),
        "tags": raw(tags),
        "incomplete": raw(incomplete),
    }
