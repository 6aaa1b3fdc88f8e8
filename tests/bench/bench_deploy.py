"""From a change of traffic to the call of its target: the registry, Kafka and the deployer as processes of their own.

``deploy=5000`` makes that many changes.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
from aiohttp import web
from tests.bench import processes
from tests.bench.bench_http import percentile
from tests.bench.processes import free_port
from tests.bench.report import Row
from tests.support.deploying import WHY
from tests.support.payloads import numbered_version

from native_kafka import Cluster

CHANGES = 2_000
A_SECOND = 100
ENDPOINTS = 20
PATIENCE = 120.0


class Called:
    """A target of the kind ``http`` that notes when each position was brought to it."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self._port = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}/"

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """It answers meanwhile."""
        application = web.Application()
        application.router.add_post("/", self._answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            self._port = free_port()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.at.setdefault(body["position"], time.perf_counter())
        return web.Response(status=204)


def run(changes: int = CHANGES) -> list[Row]:
    """All rows of this file."""
    # A broker of tests is to start fast; this one compiles what it repeats, as any that is meant to last.
    kept = ("-XX:TieredStopAtLevel=4",)
    with (
        tempfile.TemporaryDirectory() as name,
        Cluster(Path(name) / "kafka", java_flags=kept) as kafka,
        ExitStack() as stack,
    ):
        given = {"kafka": kafka.bootstrap, "kafka_prefix": f"bench-{uuid4().hex[:8]}"}
        called = Called()
        data = Path(name) / "data"
        data.mkdir()
        serve = stack.enter_context(processes.registry(data, "serve", probe="/healthz", **given))
        stack.enter_context(processes.registry(data, "project", probe="/healthz", **given))
        stack.enter_context(processes.registry(data, "relay", **given))
        url = f"http://127.0.0.1:{serve.port}"
        beside = {**given, "url": url, "allow_private": "true"}
        deploy = stack.enter_context(processes.registry(data, "deploy", probe="/healthz", **beside))
        processes.await_ready(serve)
        answered = asyncio.run(_change(url, f"http://127.0.0.1:{deploy.port}", called, changes))
        waits = [(called.at[position] - at) * 1000 for position, at in answered.items() if position in called.at]
    return [
        Row(f"changes of {ENDPOINTS} endpoints, {A_SECOND} a second, brought to their target", len(waits)),
        Row("… replaced by a newer one before", changes - len(waits)),
        Row("… answered to the target called, over Kafka, p50", percentile(waits, 0.5), "ms"),
        Row("… p99", percentile(waits, 0.99), "ms", "< 300"),
    ]


async def _change(url: str, deployer: str, called: Called, changes: int) -> dict[int, float]:
    """When each change was answered, by its position."""
    answered: dict[int, float] = {}
    async with called.answering(), aiohttp.ClientSession(f"{url}/v1/", headers={"Regista-Actor": "bench"}) as client:

        async def send(method: str, path: str, body: object) -> Any:
            async with client.request(method, path, json=body, raise_for_status=True) as response:
                return orjson.loads(await response.read())

        async def change(number: int) -> None:
            weight = 1 + number // ENDPOINTS % 98
            variants = [{"version": "1", "weight": weight}, {"version": "2", "weight": 100 - weight}]
            path = f"endpoints/prod/e{number % ENDPOINTS}/traffic"
            position = (await send("PUT", path, {"variants": variants, **WHY}))["position"]
            answered[position] = time.perf_counter()

        await send("POST", "models", {"name": "fraud"})
        for number in range(2):
            await send("POST", "models/fraud/versions", numbered_version(number))
            promotion = {"to": "staging", "keep_existing": True, **WHY}
            await send("POST", f"models/fraud/versions/{number + 1}/promote", promotion)
        await send("PUT", "environments/prod", {"stages": ["staging"]})
        await send("PUT", "targets/edge", {"kind": "http", "settings": {"url": called.url}})
        for number in range(ENDPOINTS):
            endpoint = {"environment": "prod", "name": f"e{number}", "model": "fraud", "targets": ["edge"]}
            await send("POST", "endpoints", endpoint)
        async with asyncio.timeout(PATIENCE):
            # Until a change reaches the target by Kafka the group is still being formed.
            while not called.at:
                await change(0)
                await asyncio.sleep(1.0)
        answered.clear()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(changes):
                await asyncio.sleep(max(0.0, began + number / A_SECOND - time.perf_counter()))
                tasks.create_task(change(number))
        async with asyncio.timeout(PATIENCE):
            await _settled(client, deployer)
    return answered


async def _settled(client: aiohttp.ClientSession, deployer: str) -> None:
    """Return when the deployer has nothing left to do."""
    while True:
        async with client.get(f"{deployer}/v1/status", raise_for_status=True) as response:
            part = orjson.loads(await response.read())["components"]["deployer"]
        if not part["pending"] and not part["running"] and not part["reports_waiting"]:
            return
        await asyncio.sleep(0.2)
