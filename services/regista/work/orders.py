"""Commands that follow from events, as they are kept until the registry has answered them.

They are written in the transaction that decides on them, each under a key derived from what led to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    literal,
    select,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.work.database import Component
from regista.work.locks import remove

Operation: TypeAlias = Literal[
    "report_deployment", "follow_version", "conclude_experiment", "change_traffic", "roll_back_endpoint"
]
"""What of the SDK is called."""

_METADATA: Final = MetaData()
ORDERS: Final = Table(
    "orders",
    _METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sender", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("cause", Text),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("code", Text),
    Column("error", Text),
    Column("position", BigInteger),
    Column("answered", Float),
)
_KEYS: Final = Index("orders_key", ORDERS.c.sender, ORDERS.c.key, unique=True)
_LANES: Final = Index("orders_state", ORDERS.c.sender, ORDERS.c.state, ORDERS.c.number)
COMPONENT: Final = Component("orders", ((CreateTable(ORDERS), CreateIndex(_KEYS), CreateIndex(_LANES)),))

# Statements are made once: to make one costs more than to execute it.
_GIVEN: Final = ("sender", "key", "lane", "operation", "arguments", "cause")
_KNOWN: Final = select(ORDERS.c.number).where(
    ORDERS.c.sender == bindparam("sender", type_=Text), ORDERS.c.key == bindparam("key", type_=Text)
)
_ENQUEUE: Final = ORDERS.insert().from_select(
    [*_GIVEN, "state", "tries", "due"],
    select(
        *(bindparam(name, type_=Text) for name in _GIVEN),
        literal("pending", Text),
        literal(0, Integer),
        literal(0.0, Float),
    ).where(~_KNOWN.exists()),
)


@dataclass(frozen=True, slots=True)
class Order:
    """A command to give: an operation of the SDK and its arguments, in JSON's own types.

    ``key`` is its idempotency key, the same however often it is decided on. Of one ``lane`` each waits for the one
    before it.
    """

    key: str
    lane: str
    operation: Operation
    arguments: Mapping[str, Any]
    cause: str | None


def enqueue(connection: Connection, sender: str, orders: Sequence[Order]) -> None:
    """Keep commands to be sent, in this order; one whose key is known already is left as it is."""
    if not orders:
        return
    given = [
        {
            "sender": sender,
            "key": order.key,
            "lane": order.lane,
            "operation": order.operation,
            "arguments": json.dumps(order.arguments),
            "cause": order.cause,
        }
        for order in orders
    ]
    connection.execute(_ENQUEUE, given)


def drop_pending(connection: Connection, sender: str, lane: str | None = None, *operations: Operation) -> None:
    """Forget what was not answered yet; with a lane and operations only these of it."""
    where = [ORDERS.c.sender == sender, ORDERS.c.state == "pending"]
    if lane is not None:
        where += [ORDERS.c.lane == lane, ORDERS.c.operation.in_(operations)]
    remove(connection, ORDERS, *where)
