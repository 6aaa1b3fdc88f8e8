"""Reads of what serves: the versions in production, and the endpoints that serve a model or are to serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.domain.times import moment
from regista.projections.api.answers import Answer, page
from regista.projections.api.endpoints import of_environment
from regista.projections.api.environments import environment_key, need_environment
from regista.projections.api.intervals import holds, joined, marks, moment_of
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.resolve import model_key, need_model
from regista.projections.api.standing import Standing, serving, standings
from regista.projections.reader import Reader
from regista.projections.views.shares import NOTHING

STAGE = "production"
# CROSS JOIN keeps the order of the tables: models by name, then a look-up each, so that a page costs a page
_HOLDERS = (
    "SELECT m.model_key, s.ordinal, m.model, s.version, v.digest, s.since, s.from_position, s.actor, s.reason, "
    "s.previous_version FROM models_v1 m CROSS JOIN stages_v1 s ON s.model_key = m.model_key "
    "CROSS JOIN versions_v1 v ON v.model_key = s.model_key AND v.ordinal = s.ordinal "
    f"WHERE s.stage = '{STAGE}' AND {{holds}}{{where}} AND m.model_key >= ? AND (m.model_key, s.ordinal) > (?, ?) "
    "ORDER BY m.model_key, s.ordinal LIMIT ?"
)


def production(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/production``: what serves, by model; of one model, of the endpoints of one environment, where named.

    A model without a version in production that some endpoint serves has a line all the same.
    """
    key = model_key(arguments["model"]) if "model" in arguments else None
    if key is not None:
        need_model(reader, key)
    environment = environment_key(arguments["environment"]) if "environment" in arguments else None
    if environment is not None:
        need_environment(reader, environment)
    at = moment_of(reader, arguments)
    query = query_id("production", key, arguments.get("at"), environment)
    after = read_page(arguments.get("page"), query, str, int) or ("", 0)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    rows = sorted(
        [*_holders(reader, key, at, after, limit), *_without_holder(reader, key, environment, at, after, limit)]
    )
    following = next_page(query, rows[limit - 1][:2]) if len(rows) > limit else None
    serving_them = _endpoints(reader, list(dict.fromkeys(row[0] for row in rows[:limit])), environment, at)
    return page([_line(row, serving_them.get(row[0], [])) for row in rows[:limit]], following)


def _holders(
    reader: Reader, key: str | None, at: int | None, after: tuple[Any, ...], limit: int
) -> list[tuple[Any, ...]]:
    where, values = ("", []) if key is None else (" AND m.model_key = ?", [key])
    sql = _HOLDERS.format(holds=holds("s", at), where=where)
    return reader.rows(sql, (*values, after[0], *after, limit + 1))


def _without_holder(
    reader: Reader, key: str | None, environment: str | None, at: int | None, after: tuple[Any, ...], limit: int
) -> list[tuple[Any, ...]]:
    """Models that endpoints serve though no version is in production, as rows that have no version."""
    change = joined("endpoint_changes_v1", "c", at, endpoint_key="e.endpoint_key")
    report = joined("endpoint_reports_v1", "r", at, endpoint_key="p.endpoint_key", target_key="p.target_key")
    where, values = ["e.model_key > ?"], list[Any](after[:1])
    if key is not None:
        where, values = [*where, "e.model_key = ?"], [*values, key]
    if environment is not None:
        where, values = [*where, "e.endpoint_key > ? AND e.endpoint_key < ?"], [*values, *of_environment(environment)]
    rows = reader.rows(
        f"SELECT DISTINCT e.model_key, m.model FROM endpoints_v1 e JOIN {change} "
        "JOIN models_v1 m ON m.model_key = e.model_key "
        f"WHERE {holds('e', at)} AND {' AND '.join(where)} AND (c.variants <> '{NOTHING}' OR EXISTS (SELECT 1 FROM "
        f"endpoint_reporters_v1 p JOIN {report} WHERE p.endpoint_key = e.endpoint_key AND r.observed <> '{NOTHING}')) "
        f"AND NOT EXISTS (SELECT 1 FROM stages_v1 s WHERE s.model_key = e.model_key AND s.stage = '{STAGE}' "
        f"AND {holds('s', at)}) ORDER BY e.model_key LIMIT ?",
        (*values, limit + 1),
    )
    return [(model, 0, name, *(None,) * 7) for model, name in rows]


def _endpoints(
    reader: Reader, models: Sequence[str], environment: str | None, at: int | None
) -> dict[str, list[Standing]]:
    """The endpoints that serve these models, or are to, by model; each list by environment and name."""
    if not models:
        return {}
    sql = f"SELECT e.endpoint_key FROM endpoints_v1 e WHERE e.model_key IN ({marks(len(models))}) AND {holds('e', at)}"
    values = list[Any](models)
    if environment is not None:
        sql, values = f"{sql} AND e.endpoint_key > ? AND e.endpoint_key < ?", [*values, *of_environment(environment)]
    found: dict[str, list[Standing]] = {}
    for _, standing in sorted(standings(reader, [key for (key,) in reader.rows(sql, values)], at).items()):
        if standing.serves:
            found.setdefault(standing.row.model_key, []).append(standing)
    return found


def _line(row: Sequence[Any], endpoints: Sequence[Standing]) -> dict[str, Any]:
    _, ordinal, model, version, digest, since, since_position, actor, reason, previous = row
    return {
        "model": model,
        "version": version,
        "ordinal": ordinal or None,
        "artifact": None if digest is None else {"digest": digest},
        "since": None if since is None else moment(since),
        "since_position": since_position,
        "actor": actor,
        "reason": reason,
        "previous_version": previous,
        "endpoints": [serving(endpoint) for endpoint in endpoints],
    }
