"""Reads of what points at versions: aliases and stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.domain.errors import NotFound
from regista.domain.references import DEFAULT_STAGES, check_alias, check_name
from regista.domain.times import moment
from regista.projections.api.answers import Answer, encode, ended, page
from regista.projections.api.moments import position_at
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.resolve import model_key, need_model
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader

_ALIAS = (
    "SELECT alias, version, ordinal, since, from_position, actor, reason, previous_version, sequence FROM aliases_v1"
)
_ALIAS_AT = f"{_ALIAS} WHERE model_key = ? AND alias = ? AND to_position > ? AND from_position <= ?"
_ALIASES = (
    f"{_ALIAS} WHERE model_key = ? AND to_position > ? AND from_position <= ? AND alias > ? ORDER BY alias LIMIT ?"
)
_TENURES = (
    "SELECT stage, version, ordinal, from_position, to_position, since, actor, reason, how, previous_version, "
    "(SELECT time FROM events_v1 e WHERE e.position = s.to_position) FROM stages_v1 s "
    "WHERE model_key = ? AND stage = ?"
)
_STAGES = "SELECT DISTINCT stage FROM stages_v1 WHERE model_key = ? ORDER BY stage"


def alias(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models/{model}/aliases/{alias}``."""
    key = model_key(arguments["model"])
    name = check_alias(arguments["alias"])
    model = need_model(reader, key)
    at = position_at(reader, arguments["at"]) if "at" in arguments else None
    end = FOREVER - 1 if at is None else at
    row = reader.row(_ALIAS_AT, (key, name, end, end))
    if row is None:
        when = "has" if at is None else f"at position {at} had"
        raise NotFound(
            f"{model} {when} no alias {name}", code="unknown_alias", hint=f"GET /v1/models/{model}/aliases lists them."
        )
    return Answer(encode(_alias(model, row, at)), row[8] if at is None else None)


def aliases(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models/{model}/aliases``: by name."""
    key = model_key(arguments["model"])
    model = need_model(reader, key)
    at = position_at(reader, arguments["at"]) if "at" in arguments else None
    end = FOREVER - 1 if at is None else at
    query = query_id("aliases", key, arguments.get("at"))
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    rows = reader.rows(_ALIASES, (key, end, end, *after, limit + 1))
    following = next_page(query, [rows[limit - 1][0]]) if len(rows) > limit else None
    return page([_alias(model, row, at) for row in rows[:limit]], following)


def _alias(model: str, row: Sequence[Any], at: int | None) -> dict[str, Any]:
    name, version, ordinal, since, since_position, actor, reason, previous = row[:8]
    return {
        "model": model,
        "alias": name,
        "version": version,
        "ordinal": ordinal,
        "since": moment(since),
        "since_position": since_position,
        "actor": actor,
        "reason": reason,
        "previous_version": previous,
        "at": at,
    }


def stage(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/models/{model}/stages/{stage}``: what held it when, the newest first; at a moment, only its holders.

    Raises:
        NotFound: ``unknown_stage``: the model has no such stage, and never had.
    """
    key = model_key(arguments["model"])
    name = check_name(arguments["stage"].removeprefix("@").removeprefix("stage:"), "stage").lower()
    model = need_model(reader, key)
    _need_stage(reader, key, model, name)
    query = query_id("stage", key, name, arguments.get("at"))
    after = read_page(arguments.get("page"), query, int, int)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    sql = _TENURES
    values: list[Any] = [key, name]
    if "at" in arguments:
        at = position_at(reader, arguments["at"])
        sql, values = f"{sql} AND to_position > ? AND from_position <= ?", [*values, at, at]
    if after is not None:
        sql, values = f"{sql} AND (from_position, ordinal) < (?, ?)", [*values, *after]
    rows = reader.rows(f"{sql} ORDER BY from_position DESC, ordinal DESC LIMIT ?", (*values, limit + 1))
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else next_page(query, [last[3], last[2]])
    return page([_tenure(model, row) for row in rows[:limit]], following)


def _need_stage(reader: Reader, key: str, model: str, name: str) -> None:
    # A stage of the defaults may be empty; of any other the view knows what was in it.
    if name in DEFAULT_STAGES or reader.row(f"{_TENURES} LIMIT 1", (key, name)) is not None:
        return
    others = [stage for (stage,) in reader.rows(_STAGES, (key,)) if stage not in DEFAULT_STAGES]
    raise NotFound(
        f"{model} has no stage {name}",
        code="unknown_stage",
        hint=f"There is {', '.join((*DEFAULT_STAGES, *others))}.",
    )


def _tenure(model: str, row: Sequence[Any]) -> dict[str, Any]:
    name, version, ordinal, begin, end, since, actor, reason, how, previous, until = row
    return {
        "model": model,
        "stage": name,
        "version": version,
        "ordinal": ordinal,
        "since": moment(since),
        "since_position": begin,
        "until": None if until is None else moment(until),
        "until_position": ended(end),
        "how": how,
        "actor": actor,
        "reason": reason,
        "previous_version": previous,
    }
