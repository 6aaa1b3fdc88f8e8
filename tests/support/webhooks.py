"""Webhooks of a real registry in this process: subscribe, write, wait for what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from tests.support.payloads import version_body
from tests.support.receiver import KEY, Receiver

from regista.store.sqlite import SQLiteLogReader
from regista.store.sqlite.store import LOG_FILE

ALLOWED: dict[str, Any] = {"allow_private": True, "webhook_retries": "0.05," * 100}
"""Settings of a registry that may call receivers on this machine, and does so again soon."""


async def subscribe(client: httpx.AsyncClient, receiver: Receiver, id_: str = "one", **given: Any) -> dict[str, Any]:
    """Create a subscription with the key of the tests, unless told otherwise; the answer."""
    body = {"url": receiver.url, "id": id_, "secret": KEY, **given}
    answer = await client.post("/v1/subscriptions", json={name: v for name, v in body.items() if v is not None})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def furnish(client: httpx.AsyncClient, *models: str, versions: int = 2) -> None:
    """Models with versions in staging."""
    for model in models:
        (await client.post("/v1/models", json={"name": model})).raise_for_status()
        for number in range(versions):
            body = version_body(seed=hash((model, number)) % 2**32)
            (await client.post(f"/v1/models/{model}/versions", json=body)).raise_for_status()


async def move(client: httpx.AsyncClient, model: str, number: int) -> int:
    """Point the alias of a model at one of its two versions; the position of the event."""
    answer = await client.put(
        f"/v1/models/{model}/aliases/champion", json={"version": str(number % 2 + 1), "reason": f"move {number}"}
    )
    assert answer.is_success, answer.text
    return int(answer.json()["position"])


async def deliveries(client: httpx.AsyncClient, id_: str = "one", **query: Any) -> list[dict[str, Any]]:
    """All deliveries of a subscription, the newest first; none where the notifier does not know it yet."""
    found: list[dict[str, Any]] = []
    page = None
    while True:
        asked = {**query, "limit": 100} if page is None else {**query, "limit": 100, "page": page}
        answer = await client.get(f"/v1/subscriptions/{id_}/deliveries", params=asked)
        if answer.status_code == 404:
            return []
        assert answer.status_code == 200, answer.text
        told = answer.json()
        found += told["items"]
        page = told["next"]
        if page is None:
            return found


async def until_settled(
    client: httpx.AsyncClient, count: int, id_: str = "one", within: float = 20.0
) -> list[dict[str, Any]]:
    """All deliveries, once there are so many and none of them is open."""
    found: list[dict[str, Any]] = []

    async def settled() -> bool:
        found[:] = await deliveries(client, id_)
        return len(found) >= count and not any(one["state"] in ("pending", "running", "failed") for one in found)

    await until(settled, within)
    return found


async def until(reached: Callable[[], Awaitable[bool]], within: float = 20.0) -> None:
    """Return when it is so; it is asked again and again."""
    async with asyncio.timeout(within):
        while not await reached():  # noqa: ASYNC110 - what is asked has no event to wait for
            await asyncio.sleep(0.02)


def positions_of(data: Path, type_: str) -> list[int]:
    """The positions in the log where the type is this."""
    with closing(SQLiteLogReader(data / LOG_FILE)) as log:
        return [row.position for row in log.read(1, 1_000_000) if row.type == type_]
