"""Those who share the work database on PostgreSQL take their locks in one order: none waits for another in a circle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from itertools import permutations

import psycopg
import pytest
from sqlalchemy import Connection, select
from tests.support.notifying import START, SetClock, logged, subscription
from tests.support.working import ScriptedLog

from regista.client import AsyncClient
from regista.notifier import queue
from regista.notifier.effects import NotifierEffects
from regista.notifier.engine import Engine, Means
from regista.notifier.retention import Retention, forget
from regista.notifier.sender import Reply
from regista.notifier.subscriptions import save
from regista.notifier.tables import DELIVERED, DELIVERIES
from regista.work import orders
from regista.work.database import Work
from regista.work.orders import ORDERS, Order
from regista.work.outbox import Sender
from regista.work.taking import Taking

pytestmark = pytest.mark.engine("postgres")
PATIENCE = 20.0


@pytest.fixture
def work(postgres_database: str) -> Iterator[Work]:
    with closing(Work.of(postgres_database)) as opened:
        yield opened


@contextmanager
def held(url: str, lock: Callable[[Connection], None]) -> Iterator[None]:
    """Hold a lock that both sides need, until the block ends: they line up behind it in the order in which they come."""
    taken, let_go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        lock(connection)
        taken.set()
        let_go.wait(PATIENCE)

    with closing(Work.of(url)) as other:
        holding = other._threads.submit(other._transaction, hold)
        taken.wait(PATIENCE)
        try:
            yield
        finally:
            let_go.set()
            holding.result()


async def lined_up(url: str, many: int) -> None:
    """Return when so many sessions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until = time.monotonic() + PATIENCE
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while await (await connection.execute(waiting)).fetchone() != (many,):
            assert time.monotonic() < until, f"{many} never waited"
            await asyncio.sleep(0.005)


class Taken:
    """Implements ``Sender``: everything is taken at once."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:  # noqa: ARG002 - the port's
        return Reply(200, 0.0)

    async def aclose(self) -> None:
        return


class Telling:
    """A notifier that has read a log, and has something to send."""

    def __init__(self, work: Work) -> None:
        async def secret(id_: str) -> str:
            return id_

        self.log = ScriptedLog()
        self.taking = Taking(work, NotifierEffects(lambda _: None))
        means = Means(Taken(), secret, clock=SetClock(START))
        self.engine = Engine(work, means, check=self.taking.check, ready=lambda: True)

    async def begin(self, work: Work) -> None:
        await self.taking.claim(self.log.log_id, 0)
        await work.run(lambda connection: save(connection, subscription("https://receiver.example"), START))
        self.log.alias()

    async def follows(self) -> None:
        await self.taking.take(self.log.feed.rows)

    async def sends(self) -> bool:
        return await self.engine._turn()


@pytest.mark.parametrize("order", [("follows", "sends"), ("sends", "follows")])
async def test_a_notifier_that_follows_the_log_and_sends_at_once_does_both(
    work: Work, postgres_database: str, order: tuple[str, str]
) -> None:
    telling = Telling(work)
    await telling.begin(work)
    steps: list[Awaitable[object]] = []
    with held(postgres_database, queue.lock):
        for already, name in enumerate(order):
            steps.append(asyncio.create_task(getattr(telling, name)()))
            await lined_up(postgres_database, already + 1)
    await asyncio.gather(*steps)
    assert telling.taking.mark.position == telling.log.position
    assert await steps[order.index("sends")] is True, "a turn that the database did not take is done again later"


async def test_what_is_to_be_sent_again_at_that_moment_is_not_forgotten(work: Work, postgres_database: str) -> None:
    effects = NotifierEffects(lambda _: None, SetClock(START))
    work.migrate(effects.component)
    await work.run(lambda connection: save(connection, subscription("https://receiver.example"), START))
    await work.run(lambda connection: effects.take(connection, [logged(1)]))
    kept = {"state": DELIVERED, "finished_at": 0}
    await work.run(lambda connection: connection.execute(DELIVERIES.update().values(**kept)))

    def let_be_sent_again(connection: Connection) -> None:
        queue.lock(connection)
        queue.reopen(connection, "one", [1], "redelivery", START)

    with held(postgres_database, let_be_sent_again):
        later = START + timedelta(days=365)
        forgetting = asyncio.create_task(work.run(partial(forget, retention=Retention(), now=later)))
        await lined_up(postgres_database, 1)
    assert await forgetting == 0
    [claimed] = await work.run(partial(queue.claim, subscription=subscription("https://x"), limit=9, now=later))
    assert claimed.position == 1


async def test_processes_that_send_the_same_commands_write_their_answers_down_side_by_side(
    work: Work, postgres_database: str
) -> None:
    async with AsyncClient("http://127.0.0.1:9", attempts=1) as client:
        sender = Sender(work, "tests", client)
        given = [Order(f"key-{n}", f"lane-{n}", "change_traffic", {}, None) for n in range(2)]
        await work.run(partial(orders.enqueue, sender="tests", orders=given))
        _, found, _ = await work.run(lambda connection: sender._look(connection, frozenset(), 1.0))
        answers = [(due, {"state": "done", "answered": 0.0}) for due in found]

        def first(connection: Connection) -> None:
            connection.execute(select(ORDERS).where(ORDERS.c.number == found[0].number).with_for_update())

        writing = []
        with held(postgres_database, first):
            for already, order in enumerate(permutations(answers)):
                write = partial(sender._write_down, answers=order)
                writing.append(asyncio.create_task(work.run(write)))
                await lined_up(postgres_database, already + 1)
        await asyncio.gather(*writing)
