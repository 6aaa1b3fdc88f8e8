"""Reads of models: one, now or at a position, and the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.domain.errors import NotFound
from regista.domain.times import moment
from regista.projections.api.answers import Answer, encode, page, raw
from regista.projections.api.moments import position_at
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.past import items_of
from regista.projections.api.resolve import model_key, need_model
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader
from regista.projections.views import models

SHOWN_PER_STAGE = 100
"""A stage names this many of its versions at most, the newest; the list of versions has all."""

_COLUMNS = [column.name for column in models.MODELS.columns]
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM models_v1"
_NEXT_STAGE = "SELECT min(stage) FROM stages_v1 WHERE model_key = ? AND stage > ?"
_HELD = (
    "SELECT version, from_position, ordinal FROM stages_v1 WHERE model_key = ? AND stage = ? "
    f"AND to_position = {FOREVER} ORDER BY ordinal DESC LIMIT {SHOWN_PER_STAGE}"
)
_HELD_AT = (
    "SELECT version, from_position, ordinal FROM stages_v1 WHERE model_key = ? AND stage = ? AND to_position > ? "
    f"AND from_position <= ? ORDER BY ordinal DESC LIMIT {SHOWN_PER_STAGE}"
)
_HELD_OF_MANY = f"""
    WITH RECURSIVE held (model_key, stage) AS (
        SELECT m.model_key, (SELECT min(s.stage) FROM stages_v1 s WHERE s.model_key = m.model_key)
        FROM models_v1 m WHERE m.model_key IN ({{marks}})
        UNION ALL
        SELECT h.model_key, (SELECT min(s.stage) FROM stages_v1 s WHERE s.model_key = h.model_key AND s.stage > h.stage)
        FROM held h WHERE h.stage IS NOT NULL)
    SELECT h.model_key, h.stage, s.version FROM held h CROSS JOIN stages_v1 s
    ON s.model_key = h.model_key AND s.stage = h.stage AND s.to_position = {FOREVER}
    ORDER BY h.model_key, h.stage, s.from_position DESC, s.ordinal"""
"""The stages of each model one by one, past all that ever was in them, and who is in each."""
_ALIASES_OF_MANY = (
    "SELECT model_key, alias, version FROM aliases_v1 "
    f"WHERE model_key IN ({{marks}}) AND to_position = {FOREVER} ORDER BY model_key, alias"
)
_ALIASES = f"SELECT alias, version FROM aliases_v1 WHERE model_key = ? AND to_position = {FOREVER} ORDER BY alias"
_ALIASES_AT = "SELECT alias, version FROM aliases_v1 WHERE model_key = ? AND to_position > ? AND from_position <= ? ORDER BY alias"
_COUNT_AT = "SELECT count(*) FROM versions_v1 WHERE model_key = ? AND position <= ?"
_LATEST_AT = "SELECT version FROM versions_v1 WHERE model_key = ? AND position <= ? ORDER BY version_key DESC LIMIT 1"
_LAST_EVENT_AT = (
    "SELECT sequence, time FROM events_v1 WHERE stream = ? AND position <= ? ORDER BY position DESC LIMIT 1"
)


def model(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models/{model}``."""
    key = model_key(arguments["model"])
    if "at" in arguments:
        return _model_at(reader, key, position_at(reader, arguments["at"]))
    row = reader.row(f"{_SELECT} WHERE model_key = ?", (key,))
    if row is None:
        need_model(reader, key)
    columns = dict(zip(_COLUMNS, row or (), strict=True))
    return Answer(encode(_one(reader, columns, None)), columns["sequence"])


def listed(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models``: by name."""
    query = query_id("models")
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    rows = reader.rows(f"{_SELECT} WHERE model_key > ? ORDER BY model_key LIMIT ?", (*after, limit + 1))
    following = next_page(query, [rows[limit - 1][0]]) if len(rows) > limit else None
    return page(_resources(reader, [dict(zip(_COLUMNS, row, strict=True)) for row in rows[:limit]]), following)


def _model_at(reader: Reader, key: str, at: int) -> Answer:
    need_model(reader, key)
    items = items_of(reader, key, "", at)
    if not items:
        raise NotFound(f"there was no model {key} at position {at}", code="unknown_model", hint="Name a later moment.")
    columns = models.replay(items)
    columns["versions"] = (reader.row(_COUNT_AT, (key, at)) or (0,))[0]
    columns["latest_version"] = (reader.row(_LATEST_AT, (key, at)) or (None,))[0]
    columns["sequence"], columns["updated_at"] = reader.row(_LAST_EVENT_AT, (f"model/{key}", at)) or (0, 0)
    return Answer(encode(_one(reader, columns, at)))


def _resources(reader: Reader, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Many models in few statements; of one with many versions each stage is looked at by itself."""
    few = [columns["model_key"] for columns in found if columns["versions"] <= SHOWN_PER_STAGE]
    stages: dict[str, dict[str, list[str]]] = {key: {} for key in few}
    aliases: dict[str, dict[str, str]] = {columns["model_key"]: {} for columns in found}
    for key, stage, version in _of_many(reader, _HELD_OF_MANY, few):
        stages[key].setdefault(stage, []).append(version)
    for key, alias, version in _of_many(reader, _ALIASES_OF_MANY, list(aliases)):
        aliases[key][alias] = version
    for key in aliases.keys() - stages.keys():
        stages[key] = _stages(reader, key, None)
    return [_resource(c, stages[c["model_key"]], aliases[c["model_key"]], None) for c in found]


def _of_many(reader: Reader, sql: str, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    return reader.rows(sql.format(marks=", ".join("?" * len(keys))), keys) if keys else []


def _one(reader: Reader, columns: Mapping[str, Any], at: int | None) -> dict[str, Any]:
    key = columns["model_key"]
    aliases = reader.rows(_ALIASES, (key,)) if at is None else reader.rows(_ALIASES_AT, (key, at, at))
    return _resource(columns, _stages(reader, key, at), dict(aliases), at)


def _resource(
    columns: Mapping[str, Any], stages: Mapping[str, list[str]], aliases: Mapping[str, str], at: int | None
) -> dict[str, Any]:
    return {
        "model": columns["model"],
        "title": columns["title"],
        "description": columns["description"],
        "owner": columns["owner"],
        "tags": raw(columns["tags"]),
        "policy": columns["policy"],
        "retired": bool(columns["retired"]),
        "versions": columns["versions"],
        "latest_version": columns["latest_version"],
        "stages": stages,
        "aliases": aliases,
        "created_at": moment(columns["created_at"]),
        "created_by": columns["created_by"],
        "updated_at": moment(columns["updated_at"]),
        "sequence": columns["sequence"],
        "at": at,
    }


def _stages(reader: Reader, key: str, at: int | None) -> dict[str, list[str]]:
    """The holders of every stage, the one promoted last first. Empty stages are left out."""
    held: dict[str, list[str]] = {}
    stage = ""
    while (row := reader.row(_NEXT_STAGE, (key, stage))) is not None and row[0] is not None:
        stage = row[0]
        rows = reader.rows(_HELD, (key, stage)) if at is None else reader.rows(_HELD_AT, (key, stage, at, at))
        if rows:
            held[stage] = [row[0] for row in sorted(rows, key=lambda row: (-row[1], row[2]))]
    return held
