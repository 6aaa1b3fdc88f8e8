"""What is to be sent is sent, and an answer is that of the command that was sent."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any, cast

from sqlalchemy import Connection, select
from tests.support.working import WorkPlace, eventually, losing_once, open_work

from regista.client import AsyncClient
from regista.work.orders import ORDERS, Operation, Order, drop_pending, enqueue
from regista.work.outbox import Sender

NAME = "tester"


class Slow:
    """Answers a change of traffic when it is told to, and a rollback at once."""

    def __init__(self) -> None:
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.rolled_back = 0

    async def change_traffic(self, **_: Any) -> None:
        self.asked.set()
        await self.answers.wait()

    async def roll_back_endpoint(self, **_: Any) -> None:
        self.rolled_back += 1


def order(key: str, lane: str, operation: Operation) -> Order:
    return Order(key, lane, operation, {}, None)


async def test_the_answer_to_what_was_dropped_meanwhile_is_not_that_of_another_command(work_place: WorkPlace) -> None:
    registry = Slow()
    with closing(open_work(work_place)) as work:
        sender = Sender(work, NAME, cast("AsyncClient", registry))
        await work.run(lambda connection: enqueue(connection, NAME, [order("a", "prod/fraud", "change_traffic")]))
        running = asyncio.create_task(sender.run())
        await registry.asked.wait()

        def replace(connection: Connection) -> None:
            drop_pending(connection, NAME, "prod/fraud", "change_traffic")
            enqueue(connection, NAME, [order("b", "prod/other", "roll_back_endpoint")])

        await work.run(replace)
        registry.answers.set()
        await eventually(lambda: registry.rolled_back == 1 and sender.status().waiting == 0)
        await sender.close()
        await running
        states = await work.run(lambda connection: connection.execute(select(ORDERS.c.key, ORDERS.c.state)).all())
    assert [tuple(state) for state in states] == [("b", "done")]


async def test_what_a_lost_transaction_tidied_is_tidied_by_the_next_one(work_place: WorkPlace) -> None:
    registry, clock = Slow(), [0.0]
    with closing(open_work(work_place)) as work, losing_once("DELETE FROM orders") as lost:
        sender = Sender(work, NAME, cast("AsyncClient", registry), clock=lambda: clock[0])
        running = asyncio.create_task(sender.run())
        for turn, key in enumerate(("old", "new")):
            clock[0] = 1.0 + 1_000_000.0 * turn
            await work.run(
                lambda connection, key=key: enqueue(connection, NAME, [order(key, key, "roll_back_endpoint")])  # type: ignore[misc]
            )
            sender.wake()
            await eventually(lambda turn=turn: registry.rolled_back > turn and sender.status().waiting == 0)  # type: ignore[misc]
        await sender.close()
        await running
        keys = await work.run(lambda connection: connection.execute(select(ORDERS.c.key)).scalars().all())
    assert lost
    assert list(keys) == ["new"]
