"""Deliveries: ordered in each stream, each receiver on its own, repeated by the schedule, with one id for ever."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from standardwebhooks import WebhookVerificationError
from tests.support.notifying import LOG, SetClock, logged, notifying, subscription
from tests.support.receiver import KEY, Receiver, Reply, Told, always, receiving, take

from regista.domain.errors import Unavailable
from regista.notifier.schedule import Schedule
from regista.notifier.sender import Limits
from regista.notifier.step import Step
from regista.notifier.subscriptions import Secret
from regista.work.database import Component, Work

T = TypeVar("T")

OTHER_KEY = "whsec_b3RoZXIga2V5IG9mIHRoZSB0ZXN0cyE="


def inversions(receiver: Receiver) -> list[tuple[str, int, int]]:
    """What was taken of a stream behind something later of it."""
    last: dict[str, int] = defaultdict(int)
    found = []
    for told in receiver.taken:
        position, stream = int(told.document["position"]), told.document["subject"]
        if position < last[stream]:
            found.append((stream, last[stream], position))
        last[stream] = max(last[stream], position)
    return found


async def test_every_delivery_is_accepted_by_the_stock_verifier_and_has_the_id_of_event_and_subscription(
    work: Work,
) -> None:
    async with receiving() as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1), logged(2, "model/churn"))
        await receiver.until_taken(2)

    assert {told.id for told in receiver.taken} == {f"{LOG}:1:one", f"{LOG}:2:one"}
    for told in receiver.taken:
        document = told.verify(KEY)
        assert told.headers["content-type"] == "application/cloudevents+json"
        assert (document["specversion"], document["id"]) == ("1.0", f"{LOG}:{document['position']}")
        with pytest.raises(WebhookVerificationError):
            told.verify(OTHER_KEY)


async def test_no_stream_is_told_out_of_order_though_calls_fail_and_none_is_lost(work: Work) -> None:
    chance = random.Random(5)

    async def some_fail(_told: Told) -> Reply:
        return Reply(503 if chance.random() < 0.05 else 200)

    streams = ["model/a", "model/b", "model/c", "endpoint/prod/d"]
    async with receiving(some_fail) as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        for first in range(1, 501, 20):
            await running.happen(*(logged(n, chance.choice(streams)) for n in range(first, first + 20)))
        await receiver.until_taken(500)
        await running.until_states(["delivered"] * 500)

    assert len(receiver.told) > 500, "some were refused"
    assert inversions(receiver) == []
    assert {int(told.document["position"]) for told in receiver.taken} == set(range(1, 501))


async def test_a_stream_waits_for_its_delivery_that_failed_while_others_go_on(work: Work) -> None:
    clock = SetClock()

    async def refuse_first(told: Told) -> Reply:
        return Reply(503 if told.document["position"] == "1" and clock.now.minute == 0 else 200)

    async with (
        receiving(refuse_first) as receiver,
        notifying(work, schedule=Schedule((300.0,), jitter=0), clock=clock) as running,
    ):
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1), logged(2), logged(3, "model/churn"))
        await running.until_states(["failed", "pending", "delivered"])
        clock.forward(minutes=6)
        await running.until_states(["delivered"] * 3)

    assert [told.document["position"] for told in receiver.taken] == ["3", "1", "2"]


async def test_a_delivery_is_given_up_after_the_schedule_and_its_stream_goes_on(work: Work) -> None:
    clock = SetClock()

    async def refuse_first(told: Told) -> Reply:
        return Reply(500 if told.document["position"] == "1" else 200)

    schedule = Schedule()
    async with receiving(refuse_first) as receiver, notifying(work, schedule=schedule, clock=clock) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1), logged(2))
        for number, delay in enumerate(schedule.delays, 1):
            await running.until_tried(number)
            await running.until_states(["failed", "pending"])
            clock.forward(seconds=delay)
            running.engine.wake()
        await running.until_states(["dead", "delivered"])

    assert len(receiver.told) == len(schedule.delays) + 2
    assert len({told.id for told in receiver.told}) == 2, "every attempt carries the same id"
    assert 2.9 < (clock.now - running.outcomes[0].started_at).total_seconds() / 86_400 < 3.3, "about three days"


async def test_a_receiver_that_asks_to_be_left_alone_is(work: Work) -> None:
    clock = SetClock()
    async with (
        receiving(always(429, retry_after="120")) as receiver,
        notifying(work, schedule=Schedule((5.0, 5.0), jitter=0), clock=clock) as running,
    ):
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1))
        await running.until_states(["failed"])
        receiver.answering = take
        clock.forward(seconds=119)
        running.engine.wake()
        await running.until_states(["failed"])
        clock.forward(seconds=1)
        await running.until_states(["delivered"])

    assert len(receiver.told) == 2


async def test_a_slow_receiver_delays_no_other(work: Work) -> None:
    stuck = asyncio.Event()

    async def hang(_told: Told) -> Reply:
        await stuck.wait()
        return Reply()

    async with receiving(hang) as slow, receiving() as fast, notifying(work) as running:
        await running.subscribe(*(subscription(slow.url, f"slow-{n}") for n in range(10)))
        await running.subscribe(subscription(fast.url, "fast"))
        await running.happen(*(logged(n, f"model/m{n}") for n in range(1, 101)))
        await fast.until_taken(100)
        assert len(slow.taken) == 0
        stuck.set()


async def test_what_was_being_sent_when_the_process_ended_is_sent_again_with_the_same_id(work: Work) -> None:
    async def hang(_told: Told) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with receiving(hang) as receiver:
        async with notifying(work) as running:
            await running.subscribe(subscription(receiver.url))
            await running.happen(logged(1))
            await receiver.until_told(1)
        assert await running.states() == ["running"]
        receiver.answering = take
        async with notifying(work) as again:
            await again.until_states(["delivered"])

    assert [told.id for told in receiver.told] == [f"{LOG}:1:one"] * 2


class LosingAnswers:
    """A work database of which one answer is lost: what was to be sent is committed, and nobody is told."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.lost: list[int] = []

    async def run(self, function: Callable[[Connection], T]) -> T:
        answer = await self._work.run(function)
        if isinstance(answer, Step) and not self.lost and any(claim.position == 2 for claim, _ in answer.claims):
            self.lost = [claim.position for claim, _ in answer.claims]
            raise Unavailable("the connection ended before the answer came")
        return answer

    def migrate(self, component: Component) -> None:
        self._work.migrate(component)


async def test_what_was_to_be_sent_when_the_databases_answer_was_lost_is_sent(work: Work) -> None:
    async def hold(told: Told) -> Reply:
        if told.document["position"] == "1":
            await release.wait()
        return Reply()

    losing, release = LosingAnswers(work), asyncio.Event()
    async with receiving(hold) as receiver, notifying(losing) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1, "model/a"))
        await receiver.until_told(1)
        await running.happen(logged(2, "model/b"))
        await running.until_states(["running", "delivered"])
        release.set()
        await running.until_states(["delivered", "delivered"])
    assert losing.lost == [2]
    assert sorted(told.id for told in receiver.told) == [f"{LOG}:1:one", f"{LOG}:2:one"], (
        "what is under way is left alone"
    )


async def test_a_receiver_that_is_down_gets_everything_when_it_is_back(work: Work) -> None:
    async with receiving() as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        await receiver.stop()
        await running.happen(*(logged(n, f"model/m{n % 3}") for n in range(1, 21)))
        await running.until_tried(3)
        await receiver.start()
        await running.until_states(["delivered"] * 20)

    assert {int(told.document["position"]) for told in receiver.taken} == set(range(1, 21))
    assert inversions(receiver) == []


async def test_a_receiver_that_never_answers_costs_no_more_than_the_limit(work: Work) -> None:
    async def hang(_told: Told) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with (
        receiving(hang) as receiver,
        notifying(work, schedule=Schedule(()), limits=Limits(0.2, 0.2, 0.2)) as running,
    ):
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1))
        await running.until_states(["dead"])

    [outcome] = running.outcomes
    assert outcome.status is None
    assert outcome.duration < 2


@pytest.mark.parametrize("status", [301, 302, 400, 404, 500])
async def test_nothing_but_success_is_one_and_redirects_are_not_followed(work: Work, status: int) -> None:
    async with (
        receiving() as elsewhere,
        receiving(always(status, location=elsewhere.url)) as receiver,
        notifying(work, schedule=Schedule(())) as running,
    ):
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1))
        await running.until_states(["dead"])

    assert elsewhere.told == []
    assert running.outcomes[0].error == f"answered with {status}"


async def test_during_a_rotation_every_valid_secret_signs(work: Work) -> None:
    clock = SetClock()
    later = Secret("old", clock.now.replace(hour=13))
    async with receiving() as receiver, notifying(work) as running:
        running.keys["old"] = OTHER_KEY
        await running.subscribe(subscription(receiver.url, secrets=(Secret("key"), Secret("old"))))
        await running.happen(logged(1))
        await receiver.until_taken(1)
        await running.subscribe(subscription(receiver.url, secrets=(Secret("key"), later)))
        await running.happen(logged(2))
        await receiver.until_taken(2)

    both, one = receiver.taken
    assert both.verify(KEY) == both.verify(OTHER_KEY)
    one.verify(KEY)
    with pytest.raises(WebhookVerificationError):
        one.verify(OTHER_KEY)


async def test_one_that_is_gone_is_sent_nothing_more(work: Work) -> None:
    async with receiving(always(410)) as receiver, notifying(work) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1), logged(2))
        await running.until_states(["dead", "skipped"])
        await running.happen(logged(3))
        await running.until_states(["dead", "skipped"])

    assert len(receiver.told) == 1


async def test_one_that_was_removed_is_silent_though_deliveries_waited(work: Work) -> None:
    async with receiving(always(503)) as receiver, notifying(work, schedule=Schedule((0.5,) * 9)) as running:
        await running.subscribe(subscription(receiver.url))
        await running.happen(logged(1), logged(2), logged(3, "model/churn"))
        await running.until_states(["failed", "pending", "failed"])
        await running.subscribe(subscription(receiver.url, removed=True))
        told = len(receiver.told)
        await running.happen(logged(4))
        await running.until_states(["skipped"] * 3)

    assert len(receiver.told) == told


async def test_private_addresses_are_refused_unless_allowed(work: Work) -> None:
    from regista.notifier.sender import HttpSender

    async with (
        receiving() as receiver,
        notifying(work, schedule=Schedule(()), sender=HttpSender(allow_private=False)) as running,
    ):
        for id_, url in (("a", receiver.url), ("b", receiver.url.replace("127.0.0.1", "localhost"))):
            await running.subscribe(subscription(url, id_))
        await running.happen(logged(1))
        await running.until_states(["dead", "dead"])

    assert receiver.told == []
    assert all("public network" in (outcome.error or "") for outcome in running.outcomes)
