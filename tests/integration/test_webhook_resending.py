"""Sending again on demand, acting on 410, forgetting: what happens beside the deliveries themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select
from tests.support.notifying import LOG, START, Running, SetClock, logged, notifying, subscription
from tests.support.receiver import Reply, Told, always, receiving, take

from regista.domain.errors import NotFound, PreconditionFailed, Refused, RegistaError, Retired, Unavailable
from regista.notifier import acts, ledger
from regista.notifier.acts import Asked
from regista.notifier.chores import Chores, Gone
from regista.notifier.filters import Filter
from regista.notifier.retention import Retention, forget
from regista.notifier.schedule import Schedule
from regista.notifier.subscriptions import find
from regista.notifier.tables import ACTS, ATTEMPTS, DELIVERIES, EVENTS
from regista.work.database import Work
from regista.work.logged import Logged

ASKED = Asked("ann", "because", START)


class Past:
    """A log of so many events, on two streams in turn."""

    def __init__(self, count: int) -> None:
        self.rows = [logged(n, f"model/m{n % 2}") for n in range(1, count + 1)]

    async def events(self, first: int, limit: int) -> Sequence[Logged]:
        return [row for row in self.rows if row.position >= first][:limit]


class Registrar:
    """A registry that is told who is gone, and answers as the test says."""

    def __init__(self, *answers: RegistaError | None) -> None:
        self.answers = list(answers)
        self.asked: list[Gone] = []
        self.came = asyncio.Event()

    async def disable(self, gone: Gone) -> None:
        self.asked.append(gone)
        answer = self.answers.pop(0) if self.answers else None
        if not self.answers:
            self.came.set()
        if answer is not None:
            raise answer

    async def aclose(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def doing_chores(
    running: Running, past: Past | None = None, registry: Registrar | None = None
) -> AsyncIterator[Chores]:
    chores = Chores(
        running.work,
        registry=registry or Registrar(),
        history=past or Past(0),
        retention=Retention(),
        clock=lambda: START,
        check=lambda _connection: None,
        ready=lambda: True,
        wake=running.engine.wake,
        poll=0.02,
        rows=50,
    )
    task = asyncio.create_task(chores.run())
    try:
        yield chores
    finally:
        chores.close()
        await task


async def test_one_that_was_given_up_is_sent_again_with_its_id_when_somebody_asks(work: Work) -> None:
    async with receiving(always(500)) as receiver, notifying(work, schedule=Schedule(())) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1))
        await running.until_states(["dead"])
        receiver.answering = take
        await work.run(partial(acts.redeliver, subscription="one", position=1, asked=ASKED))
        await running.until_states(["delivered"])
        [act] = await work.run(lambda connection: ledger.acts(connection, "one", before=None, limit=9))
        tries = await work.run(lambda connection: ledger.attempts(connection, "one", 1))

    assert [told.id for told in receiver.told] == [f"{LOG}:1:one"] * 2
    assert (act["act"], act["actor"], act["reason"], act["first"]) == ("redeliver", "ann", "because", 1)
    assert [(one["number"], one["status"]) for one in tries] == [(1, 500), (2, 200)]


async def test_one_that_waits_for_its_next_attempt_has_it_when_somebody_asks(work: Work) -> None:
    async with receiving(always(500)) as receiver, notifying(work, schedule=Schedule((9_999.0,))) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1), logged(2))
        await running.until_states(["failed", "pending"])
        receiver.answering = take
        await work.run(partial(acts.redeliver, subscription="one", position=1, asked=ASKED))
        await running.until_states(["delivered", "delivered"])


async def test_nothing_is_sent_again_to_who_is_unknown_disabled_or_removed(work: Work) -> None:
    async with receiving() as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url, "off", disabled=True))
        await running.subscribe(subscription(receiver.url, "gone", removed=True))
        for id_, kind, code in (
            ("who", NotFound, "unknown_subscription"),
            ("off", Refused, "subscription_disabled"),
            ("gone", Retired, "subscription_removed"),
        ):
            for ask in (
                partial(acts.redeliver, subscription=id_, position=1, asked=ASKED),
                partial(acts.ask_replay, subscription=id_, first=1, last=9, asked=ASKED),
            ):
                with pytest.raises(kind) as refused:
                    await work.run(ask)
                assert refused.value.code == code
        await running.subscribe(subscription(receiver.url))
        with pytest.raises(NotFound, match="no delivery"):
            await work.run(partial(acts.redeliver, subscription="one", position=7, asked=ASKED))


async def test_a_replay_sends_a_range_of_the_log_in_order_and_is_recorded(work: Work) -> None:
    async with receiving() as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url, filter=Filter(streams=("model/m1",))))
        await running.happen(logged(121, "model/m1"))
        await receiver.until_taken(1)
        await work.run(partial(acts.ask_replay, subscription="one", first=3, last=121, asked=ASKED))
        async with doing_chores(running, Past(130)):
            await receiver.until_taken(61)
        await running.until_states(["delivered"] * 60)
        [act] = await work.run(lambda connection: ledger.acts(connection, "one", before=None, limit=9))

    again = [int(told.document["position"]) for told in receiver.taken]
    assert again == [121, *range(3, 122, 2)]
    assert receiver.taken[0].id == receiver.taken[-1].id, "the same event has the same id"
    assert (act["queued"], act["next"], act["error"]) == (60, 122, None)
    assert act["finished_at"] is not None


async def test_a_replay_sends_what_lies_before_a_delivery_that_waits_before_it(work: Work) -> None:
    async with receiving(always(503)) as receiver, notifying(work, schedule=Schedule((3_600.0,) * 9)) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(121, "model/m1"))
        await running.until_tried(1)
        receiver.answering = take
        await work.run(partial(acts.ask_replay, subscription="one", first=101, last=121, asked=ASKED))
        async with doing_chores(running, Past(130)):
            await running.until_states(["delivered"] * 21)

    odd = [int(told.document["position"]) for told in receiver.taken if told.document["subject"] == "model/m1"]
    assert odd == list(range(101, 122, 2))


async def test_a_replay_goes_on_where_a_process_that_ended_had_come(work: Work) -> None:
    async with receiving() as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        await work.run(partial(acts.ask_replay, subscription="one", first=1, last=100, asked=ASKED))
        [replay] = await work.run(acts.replays)
        past = Past(100)
        await work.run(lambda c: acts.go_on(c, replay, past.rows[:50], 50, START))
        async with doing_chores(running, past):
            await receiver.until_taken(100)
        assert await work.run(acts.replays) == []
        queued = await work.run(lambda c: c.execute(select(ACTS.c.queued)).scalar_one())

    assert queued == 100
    assert len({told.id for told in receiver.taken}) == 100


async def test_a_replay_ends_with_its_subscription(work: Work) -> None:
    async with receiving() as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        await work.run(partial(acts.ask_replay, subscription="one", first=1, last=9, asked=ASKED))
        await running.subscribe(subscription(receiver.url, removed=True))
        async with doing_chores(running, Past(9)):
            async with asyncio.timeout(10):
                while await work.run(acts.replays):
                    pass
        error = await work.run(lambda c: c.execute(select(ACTS.c.error)).scalar_one())

    assert "removed" in error
    assert receiver.told == []


@pytest.mark.parametrize(
    "answers", [(None,), (Unavailable("away"), None), (PreconditionFailed("changed"),), (NotFound("who"),)]
)
async def test_the_registry_is_told_once_who_is_gone(work: Work, answers: tuple[RegistaError | None, ...]) -> None:
    registry = Registrar(*answers)
    async with receiving(always(410)) as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1, "model/fraud"))
        await running.until_states(["dead"])
        async with doing_chores(running, registry=registry):
            async with asyncio.timeout(10):
                await registry.came.wait()
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.1)  # it has the time to repeat

    assert registry.asked == [Gone("one", 1, LOG, 1, "model/fraud@1")] * len(answers)


async def test_who_was_changed_while_its_receiver_said_that_it_is_gone_is_not_disabled(work: Work) -> None:
    async with receiving() as receiver, notifying(work) as running:
        before = subscription(receiver.url)
        await running.subscribe(before)
        release = asyncio.Event()

        async def gone_late(told: Told) -> Reply:
            await release.wait()
            return await always(410)(told)

        receiver.answering = gone_late
        await running.happen(logged(1))
        await receiver.until_told(1)
        await running.subscribe(replace(before, sequence=2))
        receiver.answering = take
        release.set()
        await running.until_states(["delivered"])
        found = await work.run(lambda connection: find(connection, "one"))

    assert found is not None
    assert found.active
    assert [told.id for told in receiver.told] == [f"{LOG}:1:one"] * 2, "it is sent to where the subscription leads now"


async def test_what_was_kept_long_enough_is_forgotten_and_dead_letters_are_kept_longer(work: Work) -> None:
    clock = SetClock()
    retention = Retention(finished=timedelta(days=7), dead=timedelta(days=90))
    async with receiving() as receiver, receiving(always(500)) as broken:
        async with notifying(work, schedule=Schedule(()), clock=clock) as running:
            await running.subscribe(subscription(receiver.url), subscription(broken.url, "two"))
            await running.happen(logged(1), logged(2, "model/churn"))
            await running.until_states(["delivered", "delivered", "dead", "dead"])

        async def left() -> list[int]:
            counts = [select(func.count()).select_from(table) for table in (DELIVERIES, ATTEMPTS, EVENTS)]
            return await work.run(lambda connection: [connection.execute(one).scalar_one() for one in counts])

        assert await left() == [4, 4, 2]
        for days, kept in ((6.9, [4, 4, 2]), (0.2, [2, 2, 2]), (82, [2, 2, 2]), (2, [0, 0, 0])):
            clock.forward(days=days)
            await work.run(partial(forget, retention=retention, now=clock()))
            assert await left() == kept
