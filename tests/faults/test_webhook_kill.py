"""kill -9 of the registry in a burst of events, and receivers that are down: nothing is lost, what comes twice has one id."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.support.receiver import KEY, Receiver, Reply, Told, receiving
from tests.support.server import RunningServer
from tests.support.webhooks import ALLOWED, furnish, move, positions_of, subscribe, until_settled

ALIAS = "regista.alias.assigned.v1"
MODELS = tuple(f"model-{number}" for number in range(8))


@dataclass
class Burst:
    """Alias moves of several clients, each repeated with its key until it is answered."""

    per_model: int
    answered: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def whole(self) -> int:
        return self.per_model * len(MODELS)

    async def run(self, server: RunningServer) -> None:
        async with httpx.AsyncClient(timeout=10, headers={"Regista-Actor": "burst"}) as client:
            await asyncio.gather(*(self._moves(client, server, model) for model in MODELS))

    async def _moves(self, client: httpx.AsyncClient, server: RunningServer, model: str) -> None:
        for number in range(self.per_model):
            body = {"version": str(number % 2 + 1), "reason": f"move {number}"}
            key = {"Idempotency-Key": f"{model}-{number}"}
            while True:
                try:
                    url = f"{server.url}/v1/models/{model}/aliases/champion"
                    answer = await client.put(url, json=body, headers=key)
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
                    continue
                if answer.status_code == 503:
                    continue
                assert answer.is_success, answer.text
                break
            self.answered += 1
            self.moved.set()

    async def until(self, count: int) -> None:
        while self.answered < count:
            self.moved.clear()
            await self.moved.wait()


def check(receiver: Receiver, data: Path) -> None:
    """Every event of the log was taken; what came again is the same; no stream was told out of order."""
    written = positions_of(data, ALIAS)
    taken = [int(told.document["position"]) for told in receiver.taken]
    assert sorted(set(taken)) == written
    ids: dict[str, bytes] = {}
    for told in receiver.told:
        assert ids.setdefault(told.id, told.body) == told.body
    assert len(ids) == len(written), "what comes twice has the same id"
    streams: dict[str, list[int]] = {}
    for told in receiver.taken:
        streams.setdefault(told.document["subject"], []).append(int(told.document["position"]))
    assert all(found == sorted(found) for found in streams.values())
    for told in receiver.taken[:: max(1, len(receiver.taken) // 50)]:
        assert told.document["id"] in told.id


async def burst_with_kills(data: Path, per_model: int, kills: int, seed: int) -> Receiver:
    chance = random.Random(seed)

    async def some_fail(_told: Told) -> Reply:
        return Reply(503 if chance.random() < 0.05 else 200)

    server = await asyncio.to_thread(lambda: RunningServer(data, **ALLOWED))
    try:
        async with AsyncExitStack() as stack:
            receiver = await stack.enter_async_context(receiving(some_fail))
            async with httpx.AsyncClient(base_url=server.url, headers={"Regista-Actor": "tester"}) as client:
                await furnish(client, *MODELS)
                await subscribe(client, receiver, types=["alias.assigned"])
            burst = Burst(per_model)
            running = asyncio.create_task(burst.run(server))
            for number in range(1, kills + 1):
                await burst.until(burst.whole * number // (kills + 1) + chance.randrange(-5, 5))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.restart)
            await running
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
            wanted = set(positions_of(data, ALIAS))
            async with asyncio.timeout(120):
                await receiver.until(
                    lambda: {int(told.id.split(":")[1]) for told in receiver.taken} >= wanted, within=120
                )
            assert await asyncio.to_thread(server.terminate) == 0
    finally:
        await asyncio.to_thread(server.close)
    return receiver


async def test_nothing_is_lost_when_the_registry_is_killed_in_a_burst(tmp_path: Path) -> None:
    receiver = await burst_with_kills(tmp_path, per_model=15, kills=1, seed=3)
    check(receiver, tmp_path)
    assert len(receiver.taken) >= 120
    receiver.taken[-1].verify(KEY)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_of_2000_is_lost_however_often_the_registry_is_killed(tmp_path: Path, seed: int) -> None:
    receiver = await burst_with_kills(tmp_path, per_model=250, kills=8, seed=seed)
    check(receiver, tmp_path)
    assert len(receiver.taken) >= 2000


async def down_for(data: Path, seconds: float, per_model: int, retries: str) -> Receiver:
    settings = {**ALLOWED, "webhook_retries": retries}
    server = await asyncio.to_thread(lambda: RunningServer(data, **settings))
    try:
        async with receiving() as receiver:
            async with httpx.AsyncClient(base_url=server.url, headers={"Regista-Actor": "tester"}) as client:
                await furnish(client, *MODELS)
                await subscribe(client, receiver, types=["alias.assigned"])
            burst = Burst(per_model)
            await receiver.stop()
            back = asyncio.get_running_loop().time() + seconds
            await burst.run(server)
            await asyncio.sleep(back - asyncio.get_running_loop().time())  # as long as the test says, and no state
            await receiver.start()
            wanted = set(positions_of(data, ALIAS))
            await receiver.until(
                lambda: {int(told.id.split(":")[1]) for told in receiver.taken} >= wanted, within=seconds + 120
            )
    finally:
        await asyncio.to_thread(server.close)
    return receiver


@pytest.mark.soak
@pytest.mark.parametrize(
    ("seconds", "retries"), [(10, "1,2,5,10,20,40"), (30, "5,10,20,40"), (600, "5,30,60,120,240,240")]
)
async def test_nothing_is_lost_while_a_receiver_is_down(tmp_path: Path, seconds: float, retries: str) -> None:
    receiver = await down_for(tmp_path, seconds, 3, retries)
    check(receiver, tmp_path)


async def test_another_process_takes_over_what_a_killed_one_had_still_to_deliver(tmp_path: Path) -> None:
    """`regista up` leads and `regista notify` stands by, until the first is killed."""
    first = await asyncio.to_thread(lambda: RunningServer(tmp_path, **ALLOWED))
    second = await asyncio.to_thread(lambda: RunningServer(tmp_path, "notify", **ALLOWED))
    try:
        async with receiving() as receiver:
            async with httpx.AsyncClient(base_url=first.url, headers={"Regista-Actor": "tester"}) as client:
                await furnish(client, *MODELS[:2])
                await subscribe(client, receiver, types=["alias.assigned"])
                await move(client, MODELS[0], 0)
                await receiver.until_taken(1)
                await receiver.stop()
                for number in range(1, 6):
                    await asyncio.gather(*(move(client, model, number) for model in MODELS[:2]))
            await asyncio.to_thread(first.kill)
            await receiver.start()
            await receiver.until_taken(11, within=30)
            async with httpx.AsyncClient(base_url=second.url) as client:
                await until_settled(client, 11)
                shown = (await client.get("/v1/status")).json()["components"]["notifier"]
    finally:
        await asyncio.to_thread(first.close)
        await asyncio.to_thread(second.close)

    check(receiver, tmp_path)
    assert shown["state"] == "following"
