"""Reads of environments, now or at a moment, and of targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.domain.errors import NotFound
from regista.domain.references import environment_stream, target_stream
from regista.domain.times import moment
from regista.projections.api.answers import Answer, encode, page, raw
from regista.projections.api.intervals import holds, moment_of
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.reader import Reader

_ENVIRONMENT = (
    "SELECT e.environment_key, e.environment, e.description, e.stages, e.regions, e.since, e.actor, e.reason, e.sequence, "
    "(SELECT x.since FROM environments_v1 x WHERE x.environment_key = e.environment_key ORDER BY x.to_position LIMIT 1) "
    "FROM environments_v1 e WHERE"
)
_TARGET = (
    "SELECT t.target_key, t.target, t.kind, t.description, t.settings, t.secrets, t.removed, t.updated_at, t.updated_by, "
    "t.reason, t.sequence, "
    "(SELECT v.time FROM events_v1 v WHERE v.stream = 'target/' || t.target_key ORDER BY v.position LIMIT 1) "
    "FROM targets_v1 t WHERE"
)


def environment_key(name: str) -> str:
    """The key of an environment: what its stream is called.

    Raises:
        Invalid: ``bad_name``.
    """
    return environment_stream(name).removeprefix("environment/")


def need_environment(reader: Reader, key: str) -> None:
    """Refuse a name that no environment has.

    Raises:
        NotFound: ``unknown_environment``.
    """
    if reader.row("SELECT 1 FROM environments_v1 WHERE environment_key = ? LIMIT 1", (key,)) is None:
        raise NotFound(
            f"there is no environment {key}", code="unknown_environment", hint="GET /v1/environments lists them."
        )


def environment(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/environments/{environment}``."""
    key = environment_key(arguments["environment"])
    at = moment_of(reader, arguments)
    row = reader.row(f"{_ENVIRONMENT} e.environment_key = ? AND {holds('e', at)}", (key,))
    if row is None:
        need_environment(reader, key)
        raise NotFound(
            f"there was no environment {key} at position {at}", code="unknown_environment", hint="Name a later moment."
        )
    return Answer(encode(_environment(row, at)), row[8] if at is None else None)


def environments(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/environments``: by name."""
    at = moment_of(reader, arguments)
    query = query_id("environments", arguments.get("at"))
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    sql = f"{_ENVIRONMENT} e.environment_key > ? AND {holds('e', at)} ORDER BY e.environment_key LIMIT ?"
    rows = reader.rows(sql, (*after, limit + 1))
    following = next_page(query, [rows[limit - 1][0]]) if len(rows) > limit else None
    return page([_environment(row, at) for row in rows[:limit]], following)


def _environment(row: Sequence[Any], at: int | None) -> dict[str, Any]:
    _, name, description, stages, regions, since, actor, reason, sequence, created = row
    return {
        "environment": name,
        "description": description,
        "stages": raw(stages),
        "regions": raw(regions),
        "created_at": moment(created),
        "updated_at": moment(since),
        "updated_by": actor,
        "reason": reason,
        "sequence": sequence,
        "at": at,
    }


def target_key(name: str) -> str:
    """The key of a target: what its stream is called.

    Raises:
        Invalid: ``bad_name``.
    """
    return target_stream(name).removeprefix("target/")


def need_target(reader: Reader, key: str) -> tuple[Any, ...]:
    """The row of a target, also of one that was removed.

    Raises:
        NotFound: ``unknown_target``.
    """
    row = reader.row(f"{_TARGET} t.target_key = ?", (key,))
    if row is None:
        raise NotFound(f"there is no target {key}", code="unknown_target", hint="GET /v1/targets lists them.")
    return row


def target(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/targets/{target}``; one that was removed is as it was before."""
    row = need_target(reader, target_key(arguments["target"]))
    return Answer(encode(_target(row)), row[10])


def targets(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/targets``: those there are, by name."""
    query = query_id("targets")
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    sql = f"{_TARGET} t.target_key > ? AND t.removed = 0 ORDER BY t.target_key LIMIT ?"
    rows = reader.rows(sql, (*after, limit + 1))
    following = next_page(query, [rows[limit - 1][0]]) if len(rows) > limit else None
    return page([_target(row) for row in rows[:limit]], following)


def _target(row: Sequence[Any]) -> dict[str, Any]:
    _, name, kind, description, settings, secrets, removed, updated_at, updated_by, reason, sequence, created = row
    return {
        "target": name,
        "kind": kind,
        "description": description,
        "settings": raw(settings),
        "secrets": raw(secrets),
        "removed": bool(removed),
        "created_at": moment(created),
        "updated_at": moment(updated_at),
        "updated_by": updated_by,
        "reason": reason,
        "sequence": sequence,
    }
