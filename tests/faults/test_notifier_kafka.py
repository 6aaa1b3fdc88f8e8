"""`regista notify` behind Kafka: receivers are told of what the topic has, in its order, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.support.receiver import Receiver, receiving
from tests.support.server import RunningServer
from tests.support.webhooks import ALLOWED, furnish, move, subscribe, until, until_settled

from regista.bus.settings import KafkaSettings

pytestmark = pytest.mark.engine("kafka")
MODELS = ("fraud", "churn", "price")
ROUNDS = 8


@dataclass
class Spread:
    """A registry that answers, what publishes its log, what tells of it, and a client."""

    serve: RunningServer
    relay: RunningServer
    notify: RunningServer
    client: httpx.AsyncClient

    async def told_of(self, position: int) -> bool:
        """Whether the notifier has come as far."""
        async with httpx.AsyncClient(base_url=self.notify.url, timeout=30) as client:
            shown = (await client.get("/v1/status")).json()["components"]["notifier"]
        return bool(shown["state"] == "following" and shown["position"] >= position)


@asynccontextmanager
async def spread(data: Path, settings: KafkaSettings) -> AsyncIterator[Spread]:
    given = {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix, **ALLOWED}
    async with AsyncExitStack() as stack:

        async def started(make: Callable[[], RunningServer]) -> RunningServer:
            process = await asyncio.to_thread(make)
            stack.push_async_callback(asyncio.to_thread, process.close)
            return process

        serve = await started(lambda: RunningServer(data, "serve", ready=False, **given))
        relay, notify = await asyncio.gather(
            started(lambda: RunningServer(data, "relay", **given)),
            started(lambda: RunningServer(data, "notify", url=serve.url, **given)),
        )
        headers = {"Regista-Actor": "tester"}
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=serve.url, headers=headers, timeout=30, trust_env=False)
        )
        made = Spread(serve, relay, notify, client)
        await until(lambda: made.told_of(1), 30)
        yield made


async def test_what_the_topic_has_is_told_in_order_though_the_process_is_killed_in_between(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    async with spread(tmp_path / "data", kafka_settings) as made, receiving() as receiver:
        await furnish(made.client, *MODELS)
        await subscribe(made.client, receiver, types=["alias.assigned"])
        written = [await move(made.client, model, n) for n in range(ROUNDS) for model in MODELS]
        await receiver.until_taken(len(MODELS))
        await asyncio.to_thread(made.notify.kill)
        written += [await move(made.client, model, n) for n in range(ROUNDS) for model in MODELS]
        await asyncio.to_thread(made.notify.restart)
        await receiver.until(lambda: positions(receiver) >= set(written), within=30)
        os.kill(made.relay.process.pid, signal.SIGSTOP)
        try:
            held_back = await move(made.client, MODELS[0], 1)
            # Many times as long as it takes to be told of what was published.
            await asyncio.sleep(0.5)
            assert held_back not in positions(receiver), "nobody is told of what Kafka does not have"
        finally:
            os.kill(made.relay.process.pid, signal.SIGCONT)
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
