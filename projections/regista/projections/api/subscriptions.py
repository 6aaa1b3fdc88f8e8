"""Reads of subscriptions. Nothing secret is in them: of addresses the host, of secrets the fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.domain.errors import NotFound
from regista.domain.references import subscription_stream
from regista.domain.times import moment
from regista.projections.api.answers import Answer, encode, page, raw
from regista.projections.api.paging import next_page, query_id, read_page
from regista.projections.api.parameters import DEFAULT_LIMIT
from regista.projections.reader import Reader
from regista.projections.views.subscriptions import SUBSCRIPTIONS

_COLUMNS = [column.name for column in SUBSCRIPTIONS.columns]
_PLAIN = ("subscription", "url", "template", "description", "disabled_reason", "updated_by", "reason", "sequence")
_LISTS = ("types", "models", "streams", "environments", "actors", "secrets")
_SELECT = (
    f"SELECT {', '.join(f's.{name}' for name in _COLUMNS)}, (SELECT v.time FROM events_v1 v "
    "WHERE v.stream = 'subscription/' || s.subscription_key ORDER BY v.position LIMIT 1) FROM subscriptions_v1 s WHERE"
)


def subscription(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/subscriptions/{subscription}``; one that was removed is as it was before.

    Raises:
        NotFound: ``unknown_subscription``.
    """
    key = subscription_stream(arguments["subscription"]).removeprefix("subscription/")
    row = reader.row(f"{_SELECT} s.subscription_key = ?", (key,))
    if row is None:
        raise NotFound(
            f"there is no subscription {key}", code="unknown_subscription", hint="GET /v1/subscriptions lists them."
        )
    found = _resource(row)
    return Answer(encode(found), found["sequence"])


def subscriptions(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/subscriptions``: those there are, by id."""
    query = query_id("subscriptions")
    after = read_page(arguments.get("page"), query, str) or ("",)
    limit = arguments.get("limit", DEFAULT_LIMIT)
    sql = f"{_SELECT} s.subscription_key > ? AND s.removed = 0 ORDER BY s.subscription_key LIMIT ?"
    rows = reader.rows(sql, (*after, limit + 1))
    following = next_page(query, [rows[limit - 1][0]]) if len(rows) > limit else None
    return page([_resource(row) for row in rows[:limit]], following)


def _resource(row: Sequence[Any]) -> dict[str, Any]:
    columns = dict(zip((*_COLUMNS, "created_at"), row, strict=True))
    return {
        **{name: columns[name] for name in _PLAIN},
        **{name: raw(columns[name]) for name in _LISTS},
        **{name: bool(columns[name]) for name in ("disabled", "removed")},
        **{name: moment(columns[name]) for name in ("created_at", "updated_at")},
    }
