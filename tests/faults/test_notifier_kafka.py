"""`regista notify` behind Kafka: receivers are told of what the topic has, in its order, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.support.receiver import Receiver, receiving
from tests.support.server import RunningServer
from tests.support.webhooks import ALLOWED, furnish, move, subscribe, until_settled

from regista.bus.settings import KafkaSettings

pytestmark = pytest.mark.engine("kafka")
MODELS = ("fraud", "churn", "price")
ROUNDS = 8


@dataclass
class Spread:
    """What tells of a log, a client of its registry, and what begins to publish it."""

    notify: RunningServer
    client: httpx.AsyncClient
    publish: Callable[[], Awaitable[RunningServer]]


async def running(stack: AsyncExitStack, make: Callable[[], RunningServer]) -> RunningServer:
    """A process that ends with the stack."""
    process = await asyncio.to_thread(make)
    stack.push_async_callback(asyncio.to_thread, process.close)
    return process


@asynccontextmanager
async def spread(data: Path, settings: KafkaSettings) -> AsyncIterator[Spread]:
    """The relay is told to publish only by ``publish``."""
    given = {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix, **ALLOWED}
    async with AsyncExitStack() as stack:
        serve = await running(stack, lambda: RunningServer(data, "serve", ready=False, **given))
        notify = await running(stack, lambda: RunningServer(data, "notify", ready=False, url=serve.url, **given))
        headers = {"Regista-Actor": "tester"}
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=serve.url, headers=headers, timeout=30, trust_env=False)
        )

        async def publish() -> RunningServer:
            return await running(stack, lambda: RunningServer(data, "relay", **given))

        yield Spread(notify, client, publish)


async def test_what_is_written_since_it_began_is_told_though_it_is_published_late(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    async with spread(tmp_path / "data", kafka_settings) as made, receiving() as receiver:
        await furnish(made.client, *MODELS)
        await subscribe(made.client, receiver, types=["alias.assigned"])
        written = {await move(made.client, model, 0) for model in MODELS}
        await made.publish()
        await receiver.until(lambda: positions(receiver) >= written, within=30)


async def test_what_the_topic_has_is_told_in_order_though_the_process_is_killed_in_between(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    async with spread(tmp_path / "data", kafka_settings) as made, receiving() as receiver:
        relay = await made.publish()
        await furnish(made.client, *MODELS)
        await subscribe(made.client, receiver, types=["alias.assigned"])
        written = [await move(made.client, model, n) for n in range(ROUNDS) for model in MODELS]
        await receiver.until_taken(len(MODELS))
        await asyncio.to_thread(made.notify.kill)
        written += [await move(made.client, model, n) for n in range(ROUNDS) for model in MODELS]
        await asyncio.to_thread(made.notify.restart)
        await receiver.until(lambda: positions(receiver) >= set(written), within=30)
        os.kill(relay.process.pid, signal.SIGSTOP)
        try:
            held_back = await move(made.client, MODELS[0], 1)
            # Many times as long as it takes to be told of what was published.
            await asyncio.sleep(0.5)
            assert held_back not in positions(receiver), "nobody is told of what Kafka does not have"
        finally:
            os.kill(relay.process.pid, signal.SIGCONT)
        written.append(held_back)
        await until_settled(made.client, len(written))
        assert await asyncio.to_thread(made.notify.terminate) == 0, made.notify.errors

    assert positions(receiver) == set(written)
    assert len({told.id for told in receiver.taken}) == len(written), "what comes twice has the same id"
    first: dict[str, list[int]] = defaultdict(list)
    for told in receiver.taken:
        document = told.verify()
        if (position := int(document["position"])) not in first[document["subject"]]:
            first[document["subject"]].append(position)
    assert all(found == sorted(found) for found in first.values())


def positions(receiver: Receiver) -> set[int]:
    """Of what was taken."""
    return {int(told.document["position"]) for told in receiver.taken}
