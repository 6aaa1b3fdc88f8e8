"""Reads of models: one, now or at a position, and the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.domain.errors import NotFound
from regista.projections.api.answers import Answer, encode, page, raw
from regista.projections.api.moments import position_at
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.past import items_of
from regista.projections.api.resolve import model_key, need_model
from regista.projections.changes import FOREVER
from regista.projections.decoding import moment
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
    return Answer(encode(_resource(reader, columns, None)), columns["sequence"])


def listed(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models``: by name."""
    query = query_id("models")
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    rows = reader.rows(f"{_SELECT} WHERE model_key > ? ORDER BY model_key LIMIT ?", (*after, limit + 1))
    following = next_page(query, [rows[limit - 1][0]]) if len(rows) > limit else None
    items = [_resource(reader, dict(zip(_COLUMNS, row, strict=True)), None) for row in rows[:limit]]
    return page(items, following)


def _model_at(reader: Reader, key: str, at: int) -> Answer:
    need_model(reader, key)
    items = items_of(reader, key, "", at)
    if not items:
        raise NotFound(f"there was no model {key} at position {at}", code="unknown_model", hint="Name a later moment.")
    columns = models.replay(items)
    columns["versions"] = (reader.row(_COUNT_AT, (key, at)) or (0,))[0]
    columns["latest_version"] = (reader.row(_LATEST_AT, (key, at)) or (None,))[0]
    columns["sequence"], columns["updated_at"] = reader.row(_LAST_EVENT_AT, (f"model/{key}", at)) or (0, 0)
    return Answer(encode(_resource(reader, columns, at)))


def _resource(reader: Reader, columns: Mapping[str, Any], at: int | None) -> dict[str, Any]:
    key = columns["model_key"]
    aliases = reader.rows(_ALIASES, (key,)) if at is None else reader.rows(_ALIASES_AT, (key, at, at))
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
        "stages": _stages(reader, key, at),
        "aliases": dict(aliases),
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
