"""Reads of endpoints: one, now or at a moment, and the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from regista.domain.errors import NotFound
from regista.domain.references import endpoint_stream
from regista.domain.times import moment
from regista.projections.api.answers import Answer, encode, page, raw
from regista.projections.api.environments import environment_key, need_environment, need_target, target_key
from regista.projections.api.intervals import holds, joined, marks, moment_of
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.resolve import model_key, need_model
from regista.projections.api.standing import Standing, standings, state_query, wanted
from regista.projections.reader import Reader
from regista.projections.views.endpoints import CONCLUDED, CREATED, REFUSED, RETIRED, SEPARATOR

_FILTERS = ("environment", "model", "target", "state", "at")
_KEYS = "SELECT e.endpoint_key FROM endpoints_v1 e WHERE"


def endpoint_key(arguments: Mapping[str, Any]) -> str:
    """The key of the endpoint that a path names: what its stream is called.

    Raises:
        Invalid: ``bad_name``.
    """
    return endpoint_stream(arguments["environment"], arguments["endpoint"]).removeprefix("endpoint/")


def need_endpoint(reader: Reader, key: str, at: int | None = None) -> Standing:
    """An endpoint, also a retired one.

    Raises:
        NotFound: ``unknown_endpoint``.
    """
    found = standings(reader, [key], at).get(key)
    if found is None and at is not None:
        need_endpoint(reader, key)
        raise NotFound(
            f"there was no endpoint {key} at position {at}", code="unknown_endpoint", hint="Name a later moment."
        )
    if found is None:
        raise NotFound(f"there is no endpoint {key}", code="unknown_endpoint", hint="GET /v1/endpoints lists them.")
    return found


def endpoint(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/endpoints/{environment}/{endpoint}``."""
    key, at = endpoint_key(arguments), moment_of(reader, arguments)
    found = need_endpoint(reader, key, at)
    notes = _notes(reader, [key], at)
    return Answer(encode(_resource(found, notes.get(key, {}), at)), found.row.sequence if at is None else None)


def endpoints(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/endpoints``: by environment and name, retired ones too."""
    at = moment_of(reader, arguments)
    query = query_id("endpoints", *(arguments.get(name) for name in _FILTERS))
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    conditions, values = _conditions(reader, arguments)
    conditions, values = [*conditions, "e.endpoint_key > ?"], [*values, *after]
    if "state" in arguments:
        rows = reader.rows(state_query(conditions, at, arguments["state"]), (*values, limit + 1))
    else:
        sql = f"{_KEYS} {' AND '.join([holds('e', at), *conditions])} ORDER BY e.endpoint_key LIMIT ?"
        rows = reader.rows(sql, (*values, limit + 1))
    keys = [key for (key,) in rows[:limit]]
    found, notes = standings(reader, keys, at), _notes(reader, keys, at)
    following = next_page(query, [keys[-1]]) if len(rows) > limit else None
    return page([_resource(found[key], notes.get(key, {}), at) for key in keys], following)


def _conditions(reader: Reader, arguments: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """What ``e`` has to be.

    Raises:
        NotFound: ``unknown_environment``, ``unknown_model``, ``unknown_target``.
    """
    conditions: list[str] = []
    values: list[Any] = []
    if "environment" in arguments:
        key = environment_key(arguments["environment"])
        need_environment(reader, key)
        conditions.append("e.endpoint_key > ? AND e.endpoint_key < ?")
        values += of_environment(key)
    if "model" in arguments:
        key = model_key(arguments["model"])
        need_model(reader, key)
        conditions.append("e.model_key = ?")
        values.append(key)
    if "target" in arguments:
        key = target_key(arguments["target"])
        need_target(reader, key)
        conditions.append("replace(e.target_keys, ?, '') <> e.target_keys")
        values.append(f"{SEPARATOR}{key}{SEPARATOR}")
    return conditions, values


def of_environment(key: str) -> tuple[str, str]:
    """Between which keys those of the endpoints of an environment are; the second is the first without its slash."""
    return f"{key}/", f"{key}{chr(ord('/') + 1)}"


def _notes(reader: Reader, keys: Sequence[str], at: int | None) -> dict[str, dict[str, dict[str, Any]]]:
    """When endpoints were created, what was last refused there, and what was last concluded."""
    if not keys:
        return {}
    note = joined("endpoint_notes_v1", "n", at, endpoint_key="e.endpoint_key", kind="k.kind")
    sql = (
        f"WITH k (kind) AS (VALUES ('{CREATED}'), ('{REFUSED}'), ('{CONCLUDED}')) "
        "SELECT n.endpoint_key, n.kind, n.from_position, n.since, n.actor, n.reason, n.cause, n.body "
        f"FROM endpoints_v1 e CROSS JOIN k CROSS JOIN {note} "
        f"WHERE e.endpoint_key IN ({marks(len(keys))}) AND {holds('e', at)}"
    )
    notes: dict[str, dict[str, dict[str, Any]]] = {}
    for key, kind, position, since, actor, reason, cause, body in reader.rows(sql, keys):
        told = {"at": moment(since), "position": position, "actor": actor, "reason": reason, "cause": cause}
        notes.setdefault(key, {})[kind] = {**orjson.loads(body), **told}
    return notes


def _resource(standing: Standing, notes: Mapping[str, dict[str, Any]], at: int | None) -> dict[str, Any]:
    row = standing.row
    created = notes[CREATED]
    return {
        "environment": row.environment,
        "endpoint": row.endpoint,
        "model": row.model,
        "description": row.description,
        "targets": raw(row.targets),
        "follow": row.follow,
        "automatic": bool(row.automatic),
        "guardrails": raw(row.guardrails),
        "retired": row.how == RETIRED,
        "state": standing.state,
        "wanted": wanted(row),
        "pending": standing.pending,
        "actual": standing.actual(),
        "refused": _dated(notes.get(REFUSED), row.since_position),
        "concluded": _dated(notes.get(CONCLUDED), row.since_position),
        "created_at": created["at"],
        "created_by": created["actor"],
        "updated_at": moment(row.updated_at),
        "sequence": row.sequence,
        "at": at,
    }


def _dated(note: Mapping[str, Any] | None, change: int) -> dict[str, Any] | None:
    return None if note is None else {**note, "outdated": note["position"] < change}
