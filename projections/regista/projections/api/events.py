"""Reads of the events themselves: audit and history are filters of them.

``since`` and ``until`` take moments, as ``at`` does: a time stands for the position reached by then, so that both
bound positions and nothing else has to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from regista.domain.chain import event_hash
from regista.domain.errors import Malformed
from regista.domain.events import EVENT_TYPES
from regista.domain.records import to_json
from regista.domain.references import endpoint_stream, model_stream, parse_endpoint
from regista.domain.times import moment
from regista.projections.api.answers import Answer, encode
from regista.projections.api.environments import environment_key, need_environment
from regista.projections.api.moments import position_at
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.resolve import find_version, model_key, need_model
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader
from regista.projections.views.events import BLOCK
from regista.schemas.codec import decode
from regista.wire.moments import parse_moment

_COLUMNS = "e.position, e.stream, e.sequence, e.type, e.time, e.value"
PAGE_BYTES = 8 * 2**20
"""Of event values on one page: an event may have 512 KiB, and a page is held in memory several times over."""
_STREAMS: Mapping[str, Callable[[str], str]] = {
    "stream": str,
    "model": model_stream,
    "endpoint": lambda text: endpoint_stream(*parse_endpoint(text)),
}
"""The parameters that name one stream."""
_SHORT_TYPES = {name.removeprefix("regista.").rpartition(".")[0]: name for name in EVENT_TYPES}


def events(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/events``. ``next`` is the position to go on ``after``; in descending order those before it follow.

    A page ends at ``limit`` events, or where they are large at ``PAGE_BYTES``; it holds one at least, if there is any.
    """
    low, high = _range(reader, arguments)
    ascending = arguments.get("order", "asc") == "asc"
    if "after" in arguments:
        low, high = (max(low, arguments["after"]), high) if ascending else (low, min(high, arguments["after"] - 1))
    source, conditions, values = _source(reader, arguments, low, high)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    direction = "ASC" if ascending else "DESC"
    where = " AND ".join(["e.position > ?", "e.position <= ?", *conditions])
    order = ", ".join(f"{column} {direction}" for column in _order(source))
    sql = f"SELECT {_COLUMNS} FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
    rows, more = _page(reader, sql, (low, high, *values, limit + 1), limit)
    following = rows[-1][0] if more else None
    return Answer(encode({"items": [event(row) for row in rows], "next": following}))


def _order(source: str) -> tuple[str, ...]:
    """The columns by which rows come from a source in order by themselves: sorting would hold all their values."""
    if "event_blocks" in source:
        return "b.block", "e.position"
    return ("t.position",) if source.endswith("t.position") else ("e.position",)


def _page(reader: Reader, sql: str, values: Sequence[Any], limit: int) -> tuple[list[Sequence[Any]], bool]:
    """The rows of one page, and whether others follow."""
    rows: list[Sequence[Any]] = []
    size = 0
    with closing(reader.iterate(sql, values)) as found:
        for row in found:
            size += len(row[-1])
            if len(rows) == limit or (rows and size > PAGE_BYTES):
                return rows, True
            rows.append(row)
    return rows, False


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
    since, until = (parse_moment(arguments[n], n) if n in arguments else None for n in ("since", "until"))
    if isinstance(since, datetime):
        before = since - timedelta(microseconds=1)
        low = position_at(reader, before.isoformat(), "since")
    elif since is not None:
        low = since - 1
    if until is not None:
        high = position_at(reader, arguments["until"], "until")
    if since is not None and until is not None and _is_after(since, until, low, high):
        raise Malformed(
            f"since ({arguments['since']}) is after until ({arguments['until']})",
            code="bad_parameter",
            hint="Swap them.",
        )
    return low, high


def _is_after(since: int | datetime, until: int | datetime, low: int, high: int) -> bool:
    if isinstance(since, datetime) and isinstance(until, datetime):
        return since > until
    return low > high or (isinstance(since, int) and isinstance(until, int) and since > until)


def _type(text: str) -> str:
    """The full name of an event type.

    Raises:
        Malformed: ``unknown_type``, naming those that look like it.
    """
    if text in EVENT_TYPES:
        return text
    if text not in _SHORT_TYPES:
        near = get_close_matches(text, [*_SHORT_TYPES, *EVENT_TYPES], 3) or sorted(_SHORT_TYPES)
        raise Malformed(
            f"type={text[:80]!r} is no type of event", code="unknown_type", hint=f"There is {', '.join(near)}."
        )
    return _SHORT_TYPES[text]


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
    elif "environment" in arguments:
        key = environment_key(arguments["environment"])
        need_environment(reader, key)
        source = "environment_events_v1 t CROSS JOIN events_v1 e ON e.position = t.position"
        conditions += ["t.environment_key = ?", "t.position > ?", "t.position <= ?"]
        values += [key, low, high]
    for kind in ("actor", "type"):
        if kind not in arguments:
            continue
        name = _type(arguments[kind]) if kind == "type" else arguments[kind]
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
    """The one stream asked for, however it is named.

    Raises:
        Malformed: ``bad_parameter``, when several are; ``Invalid`` where a name is none.
    """
    streams = {name: stream_of(arguments[name]) for name, stream_of in _STREAMS.items() if name in arguments}
    if len(set(streams.values())) > 1:
        named = " and ".join(streams)
        raise Malformed(f"{named} name different things", code="bad_parameter", hint="Give one of them.")
    stream = next(iter(streams.values()), None)
    if stream is not None and "environment" in arguments and not _is_in(stream, arguments["environment"]):
        raise Malformed("environment and stream name different things", code="bad_parameter", hint="Give one of them.")
    return stream


def _is_in(stream: str, environment: str) -> bool:
    key = environment_key(environment)
    return stream == f"environment/{key}" or stream.startswith(f"endpoint/{key}/")
