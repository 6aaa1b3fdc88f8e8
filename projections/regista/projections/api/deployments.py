"""Reads of what happened at an endpoint: every change of what is to be served, and what became of it on every target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from regista.domain.times import moment
from regista.projections.api.answers import Answer, ended, page, raw
from regista.projections.api.endpoints import endpoint_key, need_endpoint
from regista.projections.api.environments import need_target, target_key
from regista.projections.api.intervals import marks
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.api.standing import Report, drifting
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader
from regista.projections.views.endpoints import CREATED
from regista.projections.views.shares import NOTHING

_CHANGES = (
    "SELECT c.sequence, c.how, c.model, c.variants, c.canary, c.restores, c.since, c.from_position, c.to_position, "
    "c.actor, c.reason, c.cause, (SELECT time FROM events_v1 v WHERE v.position = c.to_position) "
    f"FROM endpoint_changes_v1 c WHERE c.endpoint_key = ? AND c.how <> '{CREATED}' AND c.to_position <= ? "
    "ORDER BY c.to_position DESC LIMIT ?"
)
_ASKED = (
    "SELECT c.sequence, c.to_deploy, c.shares, c.since, c.from_position, c.to_position, e.targets "
    "FROM endpoint_changes_v1 c CROSS JOIN endpoints_v1 e ON e.endpoint_key = c.endpoint_key AND e.to_position = "
    "(SELECT min(x.to_position) FROM endpoints_v1 x WHERE x.endpoint_key = c.endpoint_key AND x.to_position >= c.to_position) "
    f"WHERE c.endpoint_key = ? AND c.how <> '{CREATED}' AND c.to_position <= ? ORDER BY c.to_position DESC LIMIT ?"
)
"""Changes, each with the targets that the endpoint had when it was last wanted."""
_LASTS = "SELECT min(to_position) FROM endpoint_changes_v1 WHERE endpoint_key = ? AND to_position > ?"
"""Where the change that came at a position ended: pages go on from where a change began, which does not move."""
_TOLD = (
    "SELECT d.change, d.target_key, d.target, d.state, d.observed, d.shares, d.attempts, d.detail, d.reports, d.first_at, "
    "d.at, d.position FROM deployments_v1 d WHERE d.endpoint_key = ? AND d.change IN ({marks})"
)


def changes(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/endpoints/{environment}/{endpoint}/changes``: the newest first."""
    key = endpoint_key(arguments)
    known = need_endpoint(reader, key).row
    query = query_id("changes", key)
    after = read_page(arguments.get("page"), query, int) or (FOREVER,)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    rows = reader.rows(_CHANGES, (key, *after, limit + 1))
    following = next_page(query, [rows[limit - 1][7]]) if len(rows) > limit else None
    return page([_change(known.environment, known.endpoint, row) for row in rows[:limit]], following)


def _change(environment: str, endpoint: str, row: Sequence[Any]) -> dict[str, Any]:
    sequence, how, model, variants, canary, restores, since, begin, end, actor, reason, cause, until = row
    return {
        "environment": environment,
        "endpoint": endpoint,
        "model": model,
        "change": sequence,
        "how": how,
        "variants": raw(variants),
        "canary": None if canary is None else raw(canary),
        "restores": restores,
        "since": moment(since),
        "since_position": begin,
        "until": None if until is None else moment(until),
        "until_position": ended(end),
        "actor": actor,
        "reason": reason,
        "cause": cause,
    }


def deployments(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/endpoints/{environment}/{endpoint}/deployments``: the newest change first, then by target."""
    key = endpoint_key(arguments)
    known = need_endpoint(reader, key).row
    only = target_key(arguments["target"]) if "target" in arguments else None
    if only is not None:
        need_target(reader, only)
    query = query_id("deployments", key, only)
    after = read_page(arguments.get("page"), query, int, str)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    end = FOREVER
    if after is not None:
        last = reader.row(_LASTS, (key, after[0]))
        end = FOREVER if last is None or last[0] is None else last[0]
    place = {"environment": known.environment, "endpoint": known.endpoint}
    rows: list[tuple[int, str, dict[str, Any]]] = []
    while len(rows) <= limit and (asked := reader.rows(_ASKED, (key, end, limit + 1))):
        rows += [row for row in _deployed(reader, key, asked, only) if after is None or _is_behind(row, after)]
        end = asked[-1][4]
    following = next_page(query, rows[limit - 1][:2]) if len(rows) > limit else None
    return page([{**place, **row} for _, _, row in rows[:limit]], following)


def _is_behind(row: tuple[int, str, dict[str, Any]], after: tuple[Any, ...]) -> bool:
    """Whether a row comes behind the last one of the page before."""
    return bool(row[0] < after[0] or (row[0] == after[0] and row[1] > after[1]))


def _deployed(
    reader: Reader, key: str, asked: Sequence[Sequence[Any]], only: str | None
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The rows of some changes, each with where the change began and the key of its target."""
    told: dict[int, dict[str, Sequence[Any]]] = {change[0]: {} for change in asked}
    for row in reader.rows(_TOLD.format(marks=marks(len(told))), (key, *told)):
        told[row[0]][row[1]] = row
    for sequence, to_deploy, shares, since, begin, end, targets in asked:
        names = {target.lower(): target for target in orjson.loads(targets)} if to_deploy else {}
        names |= {target_key: row[2] for target_key, row in told[sequence].items()}
        for name_key in sorted(names):
            if only in (None, name_key):
                report = told[sequence].get(name_key)
                asked_for = {"change": sequence, "target": names[name_key], "changed_at": moment(since)}
                if report is not None:
                    yield begin, name_key, {**asked_for, **_told(key, shares, report)}
                else:
                    yield begin, name_key, {**asked_for, **_untold("pending" if end == FOREVER else "unreported")}


def _told(key: str, shares: str, row: Sequence[Any]) -> dict[str, Any]:
    change, name_key, target, state, observed, seen, attempts, detail, reports, first_at, at, position = row
    report = Report(key, name_key, target, change, state, observed, seen, attempts, detail, at, position)
    return {
        "state": state,
        "attempts": attempts,
        "detail": detail,
        "observed": raw(observed),
        "drifting": drifting(shares, report),
        "reports": reports,
        "first_at": moment(first_at),
        "at": moment(at),
        "position": position,
    }


def _untold(state: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("attempts", "detail", "drifting", "first_at", "at", "position"))
    return {"state": state, "observed": raw(NOTHING), "reports": 0, **nothing}
