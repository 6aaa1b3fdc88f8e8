"""The routes of deliveries: list, inspect, redeliver, replay. Any process with the work database serves them.

What is asked for here is carried out by the notifier that leads, within about a second when it is another process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeAlias

import orjson
from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection
from starlette.requests import Request

from regista.domain.errors import Invalid, Unavailable
from regista.domain.references import is_identifier
from regista.domain.times import Clock, moment, utc_now
from regista.notifier import acts, ledger
from regista.notifier.acts import Asked
from regista.notifier.effects import NAME
from regista.notifier.engine import Database
from regista.notifier.tables import FAILED, PENDING
from regista.projections.api.paging import next_page, query_id, read_page
from regista.wire import deliveries as w
from regista.wire.resources import Page
from regista.work.cursors import position_of
from regista.work.parameters import known_parameters
from regista.work.reached import wait_for

_LIMIT = 100

Subscription: TypeAlias = Annotated[str, Path(description="The subscription's id.")]
DeliveryId: TypeAlias = Annotated[int, Path(ge=1, lt=2**63, description="The position of the event.")]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=1_000, description="Most items of a page.")]
Token: TypeAlias = Annotated[str | None, Query(description="`next` of the page before.")]
Least: TypeAlias = Annotated[
    int | None, Query(ge=0, lt=2**63, description="Wait until the notifier has read the log up to this position.")
]


def delivery_routes(
    database: Database,
    *,
    end: Callable[[], int],
    wake: Callable[[], None] = lambda: None,
    clock: Clock = utc_now,
) -> APIRouter:
    """The routes. ``end`` gives the log's newest position, and may block.

    ``wake`` is called when something may be sent at once, where this process sends.
    """
    router = APIRouter(
        prefix="/v1/subscriptions/{subscription}", tags=["deliveries"], dependencies=[Depends(known_parameters)]
    )

    def asked(request: Request, reason: str | None) -> Asked:
        # PostgreSQL keeps no NUL in a text.
        told = None if reason is None else reason.replace("\0", "")
        return Asked(request.state.principal.actor, told, clock())

    @router.get("/deliveries", summary="Deliveries of a subscription")
    async def list_deliveries(
        subscription: Subscription,
        state: Annotated[w.State | None, Query(description="Only those in this state.")] = None,
        limit: Limit = _LIMIT,
        page: Token = None,
        min_position: Least = None,
    ) -> Page[w.Delivery]:
        """Deliveries of a subscription, that of the newest event first."""
        await wait_for(database, NAME, min_position or 0, end, _late)
        query = query_id("deliveries", subscription.lower(), state)
        before: int | None = _behind(page, query, int)
        rows = await database.run(
            partial(_list, subscription=_known(subscription), state=state, before=before, limit=limit + 1)
        )
        following = next_page(query, [rows[limit - 1]["position"]]) if len(rows) > limit else None
        return Page(items=[w.Delivery(**_delivery(row)) for row in rows[:limit]], next=following)

    @router.get("/deliveries/{delivery}", summary="A delivery with every attempt")
    async def get_delivery(
        subscription: Subscription, delivery: DeliveryId, min_position: Least = None
    ) -> w.DeliveryDetail:
        """A delivery with what is sent and every attempt."""
        await wait_for(database, NAME, min_position or 0, end, _late)
        return await database.run(partial(_detail, subscription=_known(subscription), position=delivery))

    @router.post("/deliveries/{delivery}/redeliver", summary="Send a delivery again")
    async def redeliver(
        request: Request, subscription: Subscription, delivery: DeliveryId, body: w.Redeliver | None = None
    ) -> w.DeliveryDetail:
        """Send a delivery again, whatever became of it; one that waits for another attempt has it now."""
        wanted = asked(request, body.reason if body else None)

        def write(connection: Connection) -> w.DeliveryDetail:
            acts.redeliver(connection, _known(subscription), delivery, wanted)
            return _detail(connection, _known(subscription), delivery)

        answer = await database.run(write)
        wake()
        return answer

    @router.post("/replay", status_code=201, summary="Send a range of the log again")
    async def replay_events(request: Request, subscription: Subscription, body: w.Replay) -> w.Resending:
        """Send the events of a range of positions that pass the subscription's filters, as if they happened now.

        What was delivered of them is delivered again with the ids of the first time; the order of each stream is kept.
        """
        wanted = asked(request, body.reason)

        def write(connection: Connection) -> w.Resending:
            read = position_of(connection, NAME)
            last = read if body.to is None else min(body.to, read)
            if body.from_ > last:
                raise Invalid(
                    f"there is nothing from position {body.from_} to {last if body.to is None else body.to}",
                    code="bad_range",
                    hint=f"The notifier has read the log up to position {read}.",
                )
            id_ = acts.ask_replay(connection, _known(subscription), body.from_, last, wanted)
            return _resending(next(row for row in _acts(connection, _known(subscription), None, 1) if row["id"] == id_))

        return await database.run(write)

    @router.get("/replays", summary="What was asked to be sent again")
    async def list_replays(
        subscription: Subscription, limit: Limit = _LIMIT, page: Token = None, min_position: Least = None
    ) -> Page[w.Resending]:
        """Replays and redeliveries that were asked for, the newest first."""
        await wait_for(database, NAME, min_position or 0, end, _late)
        query = query_id("replays", subscription.lower())
        before: str | None = _behind(page, query, str)
        rows = await database.run(lambda connection: _acts(connection, _known(subscription), before, limit + 1))
        following = next_page(query, [rows[limit - 1]["id"]]) if len(rows) > limit else None
        return Page(items=[_resending(row) for row in rows[:limit]], next=following)

    return router


def _behind(token: str | None, query: str, kind: type) -> Any:  # noqa: ANN401 - of this kind, or None
    key = read_page(token, query, kind)
    return None if key is None else key[0]


def _known(subscription: str) -> str:
    if not is_identifier(subscription):
        raise acts.unknown_subscription(subscription[:80])
    return subscription.lower()


def _list(connection: Connection, subscription: str, state: str | None, before: int | None, limit: int) -> list[Any]:
    acts.need(connection, subscription)
    return list(ledger.deliveries(connection, subscription, state=state, before=before, limit=limit))


def _acts(connection: Connection, subscription: str, before: str | None, limit: int) -> list[Any]:
    acts.need(connection, subscription)
    return list(ledger.acts(connection, subscription, before=before, limit=limit))


def _detail(connection: Connection, subscription: str, position: int) -> w.DeliveryDetail:
    acts.need(connection, subscription)
    row = ledger.delivery(connection, subscription, position)
    if row is None:
        raise acts.unknown_delivery(subscription, position)
    history = [
        w.Attempt(
            number=one["number"],
            started_at=moment(one["started_at"]),
            duration=one["duration"] / 1_000_000,
            status=one["status"],
            error=one["error"],
            excerpt=one["excerpt"],
        )
        for one in ledger.attempts(connection, subscription, position)
    ]
    return w.DeliveryDetail(**_delivery(row), event=orjson.loads(row["body"]), history=history)


def _delivery(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row by its columns
    waits = row["state"] in (PENDING, FAILED)
    return {
        "subscription": row["subscription"],
        "delivery": row["position"],
        "message_id": row["message_id"],
        "stream": row["stream"],
        "type": row["type"],
        "state": row["state"],
        "origin": row["origin"],
        "attempts": row["attempts"],
        "failures": row["failures"],
        "status": row["status"],
        "error": row["error"],
        "created_at": moment(row["created_at"]),
        "next_attempt_at": moment(row["due"]) if waits else None,
        "finished_at": None if row["finished_at"] is None else moment(row["finished_at"]),
    }


def _resending(row: Any) -> w.Resending:  # noqa: ANN401 - a row by its columns
    given = {name: row[name] for name in ("id", "subscription", "act", "next", "queued", "actor", "reason", "error")}
    finished = row["finished_at"]
    return w.Resending.model_validate(
        {
            **given,
            "from": row["first"],
            "to": row["last"],
            "requested_at": moment(row["requested_at"]),
            "finished_at": None if finished is None else moment(finished),
        }
    )


def _late(reached: int) -> Unavailable:
    return Unavailable(
        f"the notifier has read the log up to position {reached}",
        code="deliveries_behind",
        hint="GET /v1/status shows how it stands; a registry that is spread out needs a `regista notify`.",
    )
