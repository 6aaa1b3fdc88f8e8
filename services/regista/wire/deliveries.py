"""Request bodies and answers of webhook deliveries: what was sent to a subscription, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from regista.wire.base import JsonObject, Reason, Request, Resource

Position: TypeAlias = Annotated[int, Field(ge=1, lt=2**63)]
State: TypeAlias = Literal["pending", "running", "delivered", "failed", "dead", "skipped"]


class Redeliver(Request):
    """``POST …/deliveries/{delivery}/redeliver``."""

    reason: Reason | None = None


class Replay(Request):
    """``POST /v1/subscriptions/{subscription}/replay``: the events of these positions, both included.

    ``to`` left out, or beyond what was read of the log: everything up to there.
    """

    from_: Annotated[Position, Field(alias="from")]
    to: Position | None = None
    reason: Reason | None = None


class Delivery(Resource):
    """One event for one subscription. ``delivery`` names it there: it is the event's position.

    ``message_id`` is the header ``webhook-id`` of every attempt. ``attempts`` counts all there ever were, ``failures``
    those since it was begun, which the schedule counts. ``status`` and ``error`` are those of the last one.
    """

    subscription: str
    delivery: int
    message_id: str
    stream: str
    type: str
    state: State
    origin: Literal["event", "replay", "redelivery"]
    attempts: int
    failures: int
    status: int | None
    error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None


class Attempt(Resource):
    """One request. ``status`` null: there was no answer. ``duration`` in seconds; ``excerpt``: the answer's beginning."""

    number: int
    started_at: datetime
    duration: float
    status: int | None
    error: str | None
    excerpt: str


class DeliveryDetail(Delivery):
    """A delivery with what is sent (as CloudEvents JSON, whatever the template) and every attempt."""

    event: JsonObject
    history: list[Attempt]


class Resending(Resource):
    """What somebody asked for: a replay, or one delivery again. ``next``: the position that a replay goes on at."""

    id: str
    subscription: str
    act: Literal["replay", "redeliver"]
    from_: Annotated[int, Field(alias="from")]
    to: int
    next: int
    queued: int
    actor: str
    reason: str | None
    requested_at: datetime
    finished_at: datetime | None
    error: str | None
