"""What is written about deployments is read back as it was answered, through the whole registry, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.intake import until
from tests.support.payloads import numbered_version
from tests.support.server import app_client

WHY = {"reason": "because"}
FRAUD = "/v1/endpoints/prod/fraud"
SHARES = ("version", "artifact_digest", "role", "weight", "mirror", "region")
WRITE_ONLY = {"stream", "position", "hash", "command_id", "replayed", "secret"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    given = {} if request.param == "sqlite" else {"database": request.getfixturevalue("postgres_database")}
    async with app_client(tmp_path, **given) as client:
        yield client


class Registry:
    """Writes, and reads that show the last write."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.position = 0

    async def write(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self._client.request(method, path, json=body)
        assert answer.status_code in (200, 201), answer.text
        written: dict[str, Any] = answer.json()
        self.position = written["position"]
        return written

    async def read(self, path: str, **query: object) -> Any:
        parameters = {"min_position": self.position, **query}
        answer = await self._client.get(path, params={name: str(value) for name, value in parameters.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, path: str, state: str) -> None:
        async def reached() -> bool:
            return bool((await self.read(path))["state"] == state)

        await until(reached, f"{path} is {state}")

    async def furnish(self) -> None:
        await self.write("POST", "/v1/models", {"name": "fraud"})
        for number in range(2):
            await self.write("POST", "/v1/models/fraud/versions", numbered_version(number))
            promotion = {"to": "staging", "keep_existing": True, **WHY}
            await self.write("POST", f"/v1/models/fraud/versions/{number + 1}/promote", promotion)


def is_shown(shown: dict[str, Any], written: dict[str, Any]) -> None:
    """Every field that the write answered is read again, the same."""
    same = {name: value for name, value in written.items() if name not in WRITE_ONLY}
    assert {name: shown.get(name) for name in same} == same


async def test_a_deployment_from_its_environment_to_production_and_back(client: httpx.AsyncClient) -> None:
    registry = Registry(client)
    await registry.furnish()
    for path, body in {
        "/v1/environments/prod": {"stages": ["staging", "production"], "description": "ours"},
        "/v1/targets/edge": {"kind": "directory"},
        "/v1/targets/spare": {"kind": "http", "settings": {"url": "https://x.example"}, "secrets": {"token": "t0p"}},
    }.items():
        written = await registry.write("PUT", path, body)
        is_shown(await registry.read(path), written)
    assert "t0p" not in str(await registry.read("/v1/targets"))
    made = {"environment": "prod", "name": "fraud", "model": "fraud", "targets": ["edge"]}
    await registry.write("POST", "/v1/endpoints", made)
    assert (await registry.read(FRAUD))["state"] == "idle"
    split = {"variants": [{"version": "1", "weight": 87.5}, {"version": "2", "weight": 12.5}], **WHY}
    first = await registry.write("PUT", f"{FRAUD}/traffic", split)
    await registry.until(FRAUD, "deployed")
    shown = await registry.read(FRAUD)
    for field in ("model", "targets", "follow", "automatic", "guardrails", "retired"):
        assert shown[field] == first[field]
    assert (shown["wanted"]["variants"], shown["wanted"]["change"]) == (first["variants"], first["change"])
    [actual] = shown["actual"]
    assert [{name: v[name] for name in SHARES} for v in actual["observed"]] == [
        {name: v[name] for name in SHARES} for v in first["variants"]
    ]
    deployed = shown["wanted"]["since_position"], (await registry.read("/v1/status"))["log_position"]
    unknown = {"artifact_digest": f"sha256:{'f' * 64}", "weight": 100}
    told = {"target": "edge", "change": first["change"], "state": "succeeded", "observed": [unknown]}
    await registry.write("POST", f"{FRAUD}/reports", told)
    [line] = (await registry.read("/v1/production"))["items"]
    assert (line["version"], line["endpoints"][0]["state"]) == (None, "drifting")
    assert [v["known"] for v in line["endpoints"][0]["actual"][0]["observed"]] == [False]
    await registry.write("POST", "/v1/models/fraud/versions/1/promote", {"to": "production", **WHY})
    [line] = (await registry.read("/v1/production"))["items"]
    assert (line["ordinal"], [s["endpoint"] for s in line["endpoints"]]) == (1, ["fraud"])
    for position, state in zip(deployed, ("pending", "deployed"), strict=True):
        assert (await registry.read(FRAUD, at=position))["state"] == state
        assert (await registry.read("/v1/production", at=position))["items"][0]["endpoints"][0]["state"] == state
    await registry.write("DELETE", f"{FRAUD}?reason=done")
    await registry.until(FRAUD, "retired")
    rows = (await registry.read(f"{FRAUD}/deployments"))["items"]
    assert [(row["state"], row["reports"]) for row in rows] == [("succeeded", 1), ("succeeded", 2)]
    rebuilt = await client.post("/v1/admin/rebuild")
    assert rebuilt.status_code == 200, rebuilt.text
    assert await registry.read(f"{FRAUD}/deployments") == {"items": rows, "next": None}


async def test_a_subscription_is_read_as_it_was_written_and_without_its_secrets(client: httpx.AsyncClient) -> None:
    registry = Registry(client)
    body = {"id": "Risk", "url": "https://hooks.example/T00/s3cr3t", "types": ["version.*"], "environments": ["prod"]}
    made = await registry.write("POST", "/v1/subscriptions", body)
    is_shown(await registry.read("/v1/subscriptions/risk"), made)
    for method, path, change in (
        ("PATCH", "/v1/subscriptions/risk", {"disabled": True, "reason": "gone"}),
        ("POST", "/v1/subscriptions/risk/rotate", {}),
    ):
        written = await registry.write(method, path, change)
        is_shown(await registry.read("/v1/subscriptions/risk"), written)
    listed = (await registry.read("/v1/subscriptions"))["items"]
    assert [(one["subscription"], one["disabled"], one["disabled_reason"]) for one in listed] == [
        ("Risk", True, "gone")
    ]
    assert not any(secret in str(listed) for secret in ("s3cr3t", made["secret"]))
    response = await client.get("/v1/subscriptions/risk")
    assert response.headers["etag"] == f'"{registry.position and written["sequence"]}"'
    await registry.write("DELETE", "/v1/subscriptions/risk?reason=done")
    assert (await registry.read("/v1/subscriptions"))["items"] == []
    left = await registry.read("/v1/subscriptions/risk")
    assert (left["removed"], left["url"], left["types"]) == (True, "https://hooks.example", ["version.*"])
    unknown = await client.get("/v1/subscriptions/nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_subscription")
    past = await client.get("/v1/subscriptions/risk?at=1")
    assert (past.status_code, past.json()["code"]) == (400, "at_unsupported")
