"""A model with 20,000 versions: its writes beside those of an empty model, and the first one after a restart."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

from tests.bench import load, processes
from tests.bench.bench_http import registration
from tests.bench.report import Row

VERSIONS = 20_000
CLIENTS = 32
SAMPLES = 300


def run() -> list[Row]:
    """All rows of this file."""
    return asyncio.run(_run())


async def _run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with processes.registry(data) as server:
            names = ["long", *(f"short-{number}" for number in range(SAMPLES))]
            for name in names:
                await _one(server.port, load.request("POST", "/v1/models", json.dumps({"name": name}).encode()))
            await load.drive(server.port, CLIENTS, _registrations("long", VERSIONS // CLIENTS))
            for name in names[1:]:
                await load.drive(server.port, 1, _registrations(name, 1))
            short = await _writes(server.port, [(name, "1.0.0") for name in names[1:]])
            long = await _writes(server.port, [("long", f"1.{number}.0") for number in range(SAMPLES)])
        with processes.registry(data) as server:
            first = await _one(server.port, _promotion("long", f"1.{SAMPLES}.0"))
    return [
        Row("promote, model with one version, median", short["promote"], "ms"),
        Row("promote, 20,000 versions, median", long["promote"], "ms"),
        Row("… ratio", long["promote"] / short["promote"], "", "< 2"),
        Row("alias, model with one version, median", short["alias"], "ms"),
        Row("alias, 20,000 versions, median", long["alias"], "ms"),
        Row("… ratio", long["alias"] / short["alias"], "", "< 2"),
        Row("first promote after a restart, 20,000 versions", first, "ms", "< 250"),
    ]


async def _writes(port: int, versions: list[tuple[str, str]]) -> dict[str, float]:
    """Medians in milliseconds, one client: every version enters staging and gets the alias."""
    promotions, aliases = [], []
    for model, version in versions:
        promotions.append(await _one(port, _promotion(model, version)))
        body = json.dumps({"version": version}).encode()
        aliases.append(await _one(port, load.request("PUT", f"/v1/models/{model}/aliases/champion", body)))
    return {"promote": statistics.median(promotions), "alias": statistics.median(aliases)}


async def _one(port: int, data: bytes) -> float:
    result = await load.drive(port, 1, _once(data))
    if set(result.statuses) - {200, 201}:
        raise RuntimeError(f"answered {dict(result.statuses)}")
    return result.latencies[0] * 1000


def _promotion(model: str, version: str) -> bytes:
    body = json.dumps({"to": "staging", "reason": "bench"}).encode()
    return load.request("POST", f"/v1/models/{model}/versions/{version}/promote", body)


def _registrations(model: str, each: int) -> load.Make:
    def make(client: int, number: int) -> bytes | None:
        if number >= each:
            return None
        body = registration(model, client * each + number)
        return load.request("POST", f"/v1/models/{model}/versions", body)

    return make


def _once(data: bytes) -> load.Make:
    return lambda _, number: None if number else data
