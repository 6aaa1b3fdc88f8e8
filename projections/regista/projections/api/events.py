"""Reads of the events themselves: audit and history are filters of them.

``since`` and ``until`` take moments, as ``at`` does: a time stands for the position reached by then, so that both
bound positions and nothing else has to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from regista.domain.chain import event_hash
from regista.domain.errors import Malformed
from regista.domain.events import EVENT_TYPES
from regista.domain.records import to_json
from regista.projections.api.answers import Answer, encode
from regista.projections.api.moments import parse_moment, position_at
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.resolve import find_version, model_key, need_model
from regista.projections.changes import FOREVER
from regista.projections.decoding import moment
from regista.projections.reader import Reader
from regista.projections.views.events import BLOCK
from regista.schemas.codec import decode

_COLUMNS = "e.position, e.stream, e.sequence, e.type, e.time, e.value"
_SHORT_TYPES = {name.removeprefix("regista.").rpartition(".")[0]: name for name in EVENT_TYPES}


def events(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/events``. ``next`` is the position to go on ``after``; in descending order those before it follow."""
    low, high = _range(reader, arguments)
    ascending = arguments.get("order", "asc") == "asc"
    if "after" in arguments:
        low, high = (max(low, arguments["after"]), high) if ascending else (low, min(high, arguments["after"] - 1))
    source, conditions, values = _source(reader, arguments, low, high)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    direction = "ASC" if ascending else "DESC"
    where = " AND ".join(["e.position > ?", "e.position <= ?", *conditions])
    order = f"b.block {direction}, e.position {direction}" if "event_blocks" in source else f"e.position {direction}"
    sql = f"SELECT {_COLUMNS} FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
    rows = reader.rows(sql, (low, high, *values, limit + 1))
    following = rows[limit - 1][0] if len(rows) > limit else None
    return Answer(encode({"items": [event(row) for row in rows[:limit]], "next": following}))


def event(row: Sequence[Any]) -> dict[str, Any]:
    """An event as the API shows it."""
    position, stream, sequence, type_, time, value = row
    _, record = decode(value)
    meta = record["meta"]
    return {
        "position": position,
        "stream": stream,
        "sequence": sequence,
        "type": type_,
        "time": moment(time),
        "actor": meta["actor"],
        "identity": meta["identity"],
        "reason": meta["reason"],
        "command_id": meta["command_id"],
        "cause": meta["cause"],
        "previous_hash": meta["previous_hash"].hex(),
        "hash": event_hash(stream, sequence, value).hex(),
        "data": to_json(record),
    }


def _range(reader: Reader, arguments: Mapping[str, Any]) -> tuple[int, int]:
    """The positions asked for: behind the first, up to the second."""
    low, high = 0, FOREVER - 1
    if "since" in arguments:
        since = parse_moment(arguments["since"], "since")
        if isinstance(since, datetime):
            before = since - timedelta(microseconds=1)
            low = position_at(reader, before.isoformat(), "since")
        else:
            low = since - 1
    if "until" in arguments:
        high = position_at(reader, arguments["until"], "until")
    return low, high


def _source(reader: Reader, arguments: Mapping[str, Any], low: int, high: int) -> tuple[str, list[str], list[Any]]:
    """Where to look, by the most selective filter; its conditions and parameters."""
    conditions: list[str] = []
    values: list[Any] = []
    stream = _stream(arguments)
    source = "events_v1 e"
    if "version" in arguments:
        if "model" not in arguments:
            raise Malformed("version needs a model", code="bad_parameter", hint="Add model=NAME.")
        key = model_key(arguments["model"])
        need_model(reader, key)
        source = "version_events_v1 t CROSS JOIN events_v1 e ON e.position = t.position"
        conditions += ["t.stream = ?", "t.version = ?"]
        values += [stream, find_version(reader, key, arguments["version"])[1]]
    elif stream is not None:
        conditions.append("e.stream = ?")
        values.append(stream)
    for kind in ("actor", "type"):
        if kind not in arguments:
            continue
        name = _SHORT_TYPES.get(arguments[kind], arguments[kind]) if kind == "type" else arguments[kind]
        if source == "events_v1 e" and stream is None:
            source = (
                f"event_blocks_v1 b CROSS JOIN events_v1 e ON e.position >= b.block << {BLOCK} "
                f"AND e.position < (b.block + 1) << {BLOCK}"
            )
            conditions += [f"b.kind = '{kind}'", "b.name = ?", "b.block >= ?", "b.block <= ?"]
            values += [name, low >> BLOCK, high >> BLOCK]
        conditions.append(f"e.{kind} = ?")
        values.append(name)
    return source, conditions, values


def _stream(arguments: Mapping[str, Any]) -> str | None:
    if "model" not in arguments:
        stream: str | None = arguments.get("stream")
        return stream
    stream = f"model/{model_key(arguments['model'])}"
    if arguments.get("stream", stream) != stream:
        raise Malformed("stream and model name different things", code="bad_parameter", hint="Give one of them.")
    return stream
