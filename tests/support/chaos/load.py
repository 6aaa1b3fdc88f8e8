"""Steady writes, over HTTP and as commands on Kafka, by clients that repeat each until it is answered."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
from confluent_kafka import Producer
from tests.support.chaos.checker import Answers
from tests.support.chaos.world import World
from tests.support.payloads import version_body

from regista import CommandPublisher, Order
from regista.domain.errors import Unavailable
from regista.wire.orders import SENT

MODELS = 4
HTTP_CLIENTS = 4
PUBLISHERS = 3
PAUSE = (0.01, 0.08)
"""Seconds between an answer and the next command of a client."""
_ROUTES = {kind: route for route, kind in SENT.items()}
_AGAIN = (0.02, 0.3)


@dataclass(frozen=True, slots=True)
class Wish:
    """A command, by whichever way it goes."""

    command_id: str
    type: str
    target: dict[str, str]
    body: dict[str, Any]

    @property
    def route(self) -> tuple[str, str]:
        """Method and path."""
        method, template = _ROUTES[self.type]
        return method, f"/v1/{template.format(**self.target)}"

    def order(self, actor: str) -> Order:
        """As a record on Kafka."""
        return Order(self.command_id, actor, self.type, self.target, body=json.dumps(self.body))


@dataclass
class Tally:
    """What was sent and answered so far."""

    http_done: int = 0
    http_refused: int = 0
    kafka_done: int = 0
    kafka_refused: int = 0
    retries: int = 0

    @property
    def over_http(self) -> int:
        """Answers over HTTP."""
        return self.http_done + self.http_refused

    @property
    def over_kafka(self) -> int:
        """Answers over Kafka."""
        return self.kafka_done + self.kafka_refused


class Load:
    """Clients that write between ``begin`` and ``quiesce``, again and again; the next log takes a new one."""

    def __init__(self, world: World, seed: str, tally: Tally) -> None:
        self.answers = Answers()
        self._world = world
        self._tally = tally
        self._seed = seed
        self._ends = asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []
        self._http: httpx.AsyncClient | None = None
        self._commands: CommandPublisher | None = None
        self._garbage = Producer({"bootstrap.servers": world.direct, "log_level": 0})
        self._wishes = {n: _wishes(random.Random(f"{seed}/{n}"), n) for n in range(HTTP_CLIENTS + PUBLISHERS)}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Load]:
        """With connections open, and models to write to."""
        async with AsyncExitStack() as stack:
            self._http = await stack.enter_async_context(
                httpx.AsyncClient(timeout=60, headers={"Regista-Actor": "http"})
            )
            self._commands = await stack.enter_async_context(
                CommandPublisher(self._world.settings, actor="kafka", timeout=10)
            )
            for number in range(MODELS):
                await self._over_http(Wish(f"model-{number}", "RegisterModel", {}, {"name": f"model-{number}"}))
            stack.push_async_callback(self.quiesce, 5)
            yield self

    def begin(self) -> None:
        """Write from now on."""
        self._ends.clear()
        self._garbage.produce(self._world.topics.commands, b"no command", key=b"anything")
        self._clients = [asyncio.create_task(self._client(number)) for number in self._wishes]

    async def answered(self, number: int, patience: float) -> list[str]:
        """Return when so many more commands were answered, by each way; that they were not in time is a violation."""
        before = (self._tally.over_http, self._tally.over_kafka)
        try:
            async with asyncio.timeout(patience):
                while min(self._tally.over_http - before[0], self._tally.over_kafka - before[1]) < number:  # noqa: ASYNC110 - counters tell nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            more = (self._tally.over_http - before[0], self._tally.over_kafka - before[1])
            return [
                f"within {patience:g} s of calm {more} commands were answered over HTTP and Kafka, not {number} each"
            ]
        return []

    async def quiesce(self, patience: float) -> list[str]:
        """Begin nothing new; what is not answered in time is a violation."""
        self._ends.set()
        if not self._clients:
            return []
        done, late = await asyncio.wait(self._clients, timeout=patience)
        for task in late:
            task.cancel()
        self._clients = []
        left = await asyncio.to_thread(self._garbage.flush, patience)
        wrong = [f"{len(late)} clients had no answer within {patience:g} s"] if late else []
        wrong += [f"{left} records could not be written"] if left else []
        return wrong + [
            f"a client got an answer nobody expects: {task.exception()!r}" for task in done if task.exception()
        ]

    async def _client(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}/pace")
        way = self._over_http if number < HTTP_CLIENTS else self._over_kafka
        while not self._ends.is_set():
            await way(next(self._wishes[number]))
            await asyncio.sleep(chance.uniform(*PAUSE))

    async def _over_http(self, wish: Wish) -> None:
        answer = await self._answer(wish)
        if answer.status_code < 300:
            self.answers.done["http", wish.command_id] = answer.json()
            self._tally.http_done += 1
        else:
            assert answer.status_code in (404, 409, 422), answer.text
            self.answers.refused.add(("http", wish.command_id))
            self._tally.http_refused += 1

    async def _answer(self, wish: Wish) -> httpx.Response:
        """What the API says in the end, whichever registrar it is that says it."""
        assert self._http is not None
        method, path = wish.route
        while True:
            for url in random.sample(self._world.urls, len(self._world.urls)):
                try:
                    headers = {"Idempotency-Key": wish.command_id}
                    answer = await self._http.request(method, f"{url}{path}", json=wish.body, headers=headers)
                    if answer.status_code not in (429, 503):
                        return answer
                except httpx.TransportError:
                    pass
                self._tally.retries += 1
                await asyncio.sleep(random.uniform(*_AGAIN))

    async def _over_kafka(self, wish: Wish) -> None:
        assert self._commands is not None
        order = wish.order("kafka")
        twice = wish.command_id.endswith("7")
        while True:
            try:
                sent = await self._commands.publish(order)
                if twice:
                    await self._commands.publish(order)
                result = await sent.result()
                break
            except Unavailable:
                self._tally.retries += 1
                await asyncio.sleep(random.uniform(*_AGAIN))
        if result.done:
            said = {name: getattr(result, name) for name in ("position", "stream", "sequence", "hash")}
            self.answers.done["kafka", wish.command_id] = said
            self._tally.kafka_done += 1
        else:
            assert result.status in (404, 409, 422), result.body
            self._tally.kafka_refused += 1


def _wishes(chance: random.Random, client: int) -> Iterator[Wish]:
    """An endless mix of registrations, promotions, rollbacks and alias moves on a few shared models; some are refused."""
    numbers = (f"{client}-{number}" for number in count())
    for number in count(client * 1_000_000):
        model = {"model": f"model-{chance.randrange(MODELS)}"}
        some = str(chance.randrange(1, 40))
        stage = chance.choice(("staging", "production"))
        yield Wish(next(numbers), "RegisterVersion", model, version_body(seed=number))
        yield Wish(next(numbers), "Promote", {**model, "ref": some}, {"to": stage, "reason": "load"})
        yield Wish(next(numbers), "RollBack", model, {"stage": stage, "reason": "load"})
        alias = {**model, "alias": f"alias-{chance.randrange(3)}"}
        yield Wish(next(numbers), "AssignAlias", alias, {"version": some})
        if number % 3 == 0:
            name = f"model-{chance.randrange(2 * MODELS)}"  # some are taken, all are in the end
            body = {"name": name}
            yield Wish(next(numbers), "RegisterModel", {}, body)
