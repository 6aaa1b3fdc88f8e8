"""Environments, targets and endpoints over HTTP: what each write answers, and that a replay answers the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.payloads import numbered_version
from tests.support.server import app_client

WHY = {"reason": "because"}
FRAUD = "endpoints/prod/fraud"
PLACE = {"stream", "sequence", "position", "hash", "command_id", "replayed"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A registry in which nobody writes but the test: those who follow the log would answer its events with others."""
    async with app_client(tmp_path, effects_from=1_000_000) as client:
        yield client


async def send(client: httpx.AsyncClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """A write that is done; sent again with its key it is answered as the first time."""
    key = {"Idempotency-Key": sha256(f"{method} {path} {body}".encode()).hexdigest()}
    answers = [await client.request(method, f"/v1/{path}", json=body, headers={**key, **headers}) for _ in range(2)]
    assert [answer.status_code for answer in answers][1] == 200, answers[1].text
    first, again = (answer.json() for answer in answers)
    assert again == {**first, "replayed": True}
    assert first.keys() >= PLACE
    return {**first, "status": answers[0].status_code}


async def furnish(client: httpx.AsyncClient) -> None:
    await send(client, "POST", "models", {"name": "fraud"})
    for number in range(2):
        await send(client, "POST", "models/fraud/versions", numbered_version(number))
        promotion = {"to": "staging", "keep_existing": True, **WHY}
        await send(client, "POST", f"models/fraud/versions/{number + 1}/promote", promotion)
    await send(client, "PUT", "environments/prod", {"stages": ["staging"]})
    await send(client, "PUT", "targets/edge", {"kind": "nginx", "settings": {"port": 8081}})
    await send(
        client, "POST", "endpoints", {"environment": "prod", "name": "fraud", "model": "fraud", "targets": ["edge"]}
    )


async def test_every_write_answers_with_what_it_made_and_where_it_stands(client: httpx.AsyncClient) -> None:
    await furnish(client)
    defined = await send(client, "PUT", "environments/dev", {"stages": ["staging"], "regions": ["eu"]})
    assert (defined["status"], defined["stages"], defined["regions"]) == (201, ["staging"], ["eu"])
    target = await send(client, "PUT", "targets/edge", {"kind": "nginx", "settings": {"port": 8082}})
    assert (target["status"], target["settings"], target["sequence"]) == (200, {"port": 8082}, 2)
    updated = await send(client, "PATCH", FRAUD, {"follow": "@staging", "automatic": True})
    assert (updated["follow"], updated["automatic"], updated["targets"]) == ("@staging", True, ["edge"])
    split = {"variants": [{"version": "1", "weight": 87.5}, {"version": "2", "weight": 12.5}], **WHY}
    changed = await send(client, "PUT", f"{FRAUD}/traffic", split, **{"Regista-Cause": "model/fraud@3"})
    assert [(v["ordinal"], v["role"], v["weight"]) for v in changed["variants"]] == [
        (1, "champion", 87.5),
        (2, "challenger", 12.5),
    ]
    at = changed["position"]
    [event] = (await client.get(f"/v1/events?after={at - 1}&limit=1&min_position={at}")).json()["items"]
    assert (event["cause"], event["sequence"]) == ("model/fraud@3", changed["change"])
    report = {"target": "edge", "change": changed["change"], "state": "succeeded"}
    reported = await send(client, "POST", f"{FRAUD}/reports", report)
    assert (reported["status"], reported["state"]) == (201, "succeeded")
    verdict = {"change": changed["change"], "verdict": "promote"}
    assert (await send(client, "POST", f"{FRAUD}/conclude", verdict))["verdict"] == "promote"
    await send(client, "PUT", f"{FRAUD}/traffic", {"promote": "2", **WHY})
    back = await send(client, "POST", f"{FRAUD}/rollback", WHY)
    assert len(back["variants"]) == 2
    followed = await send(client, "POST", f"{FRAUD}/follow", {"followed": "@staging", **WHY})
    assert [v["ordinal"] for v in followed["variants"]] == [2]
    assert (await send(client, "DELETE", f"{FRAUD}?reason=done"))["retired"]
    assert (await send(client, "DELETE", "targets/edge?reason=done"))["removed"]


async def test_a_rollback_of_an_environment_lists_what_it_wrote(client: httpx.AsyncClient) -> None:
    await furnish(client)
    await send(client, "POST", "endpoints", {"environment": "prod", "name": "b", "model": "fraud", "targets": ["edge"]})
    for name in ("fraud", "b"):
        then = await send(client, "PUT", f"endpoints/prod/{name}/traffic", {"promote": "1", **WHY})
    for name in ("fraud", "b"):
        await send(client, "PUT", f"endpoints/prod/{name}/traffic", {"promote": "2", **WHY})
    body = {"at": str(then["position"]), **WHY}
    plan = (await client.post("/v1/environments/prod/rollback?dry_run=true", json=body)).json()
    answer = await send(client, "POST", "environments/prod/rollback", body)
    assert [one["stream"] for one in plan["events"]] == [one["stream"] for one in answer["events"]]
    assert [one["position"] for one in answer["events"]] == [answer["position"] - 1, answer["position"]]
