"""Many reports in one request: each is taken or refused by itself, once, and those on one endpoint in their order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.support.deploying import FRAUD, World, world
from tests.support.working import WorkPlace, eventually

from regista.client import AsyncClient
from regista.domain import events as e

TOGETHER = "/v1/deployment-reports"


@pytest.fixture
async def served(tmp_path: Path, work_place: WorkPlace) -> AsyncIterator[World]:
    """``prod/fraud`` and ``prod/other`` on the target ``edge``, with something served on each."""
    async with world(tmp_path / "data", work_place) as made:
        await made.furnish()
        for name in ("fraud", "other"):
            await made.endpoint(name)
        yield made


def report(key: str, change: int, endpoint: str = "fraud", **more: Any) -> dict[str, Any]:
    return {
        "environment": "prod",
        "endpoint": endpoint,
        "target": "edge",
        "change": change,
        "state": "succeeded",
        "idempotency_key": key,
        **more,
    }


async def test_each_report_is_answered_as_if_it_came_alone(served: World) -> None:
    first, second = await served.serve(100), await served.serve(90, 10)
    other = await served.serve(100, name="other")
    reports = [
        report("a", first, state="superseded", cause=f"endpoint/prod/fraud@{first}"),
        report("b", other, "other"),
        report("c", 999),
        report("d", second),
        report("e", second, cause="nonsense"),
        report("f", 1, "nowhere"),
    ]
    told = (await served.send("POST", "deployment-reports", {"reports": reports}))["items"]
    assert [item["status"] for item in told] == [201, 201, 404, 201, 422, 404]
    assert [item.get("code") for item in told] == [
        None, None, "unknown_change", None, "bad_cause", "unknown_endpoint",
    ]  # fmt: skip
    alone = await served.client.post(f"/v1/{FRAUD}/reports", json={"target": "edge", "change": 999, "state": "failed"})
    assert (alone.json()["detail"], alone.json()["hint"]) == (told[2]["detail"], told[2]["hint"])
    logged = {found.command_id: found for found in served.events(e.DeploymentReported)}
    assert {key: found.position for key, found in logged.items()} == {
        "a": told[0]["position"], "b": told[1]["position"], "d": told[3]["position"],
    }  # fmt: skip
    assert logged["a"].position < logged["d"].position
    assert (logged["a"].actor, logged["a"].cause) == ("tester", f"endpoint/prod/fraud@{first}")

    again = (await served.send("POST", "deployment-reports", {"reports": reports}))["items"]
    assert [item.get("position") for item in again] == [item.get("position") for item in told]
    assert len(served.events(e.DeploymentReported)) == 3


async def test_the_sdk_tells_of_many(served: World) -> None:
    change = await served.serve(100)
    async with AsyncClient("http://127.0.0.1", actor="tester", transport=served.client._transport) as client:
        told = await client.report_deployments([report("a", change), report("b", 999)])
    assert [(item.status, item.code) for item in told.items] == [(201, None), (404, "unknown_change")]


class Narrow:
    """A registry of before: it takes no reports together, and says so. The paths that were asked for."""

    def __init__(self, app: ASGIApp, *, knows: bool) -> None:
        self._app = app
        self._knows = knows
        self.paths: list[str] = []
        self.together: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        if scope["path"] != TOGETHER:
            await self._app(scope, receive, send)
            return
        if not self._knows:
            await self._app({**scope, "path": "/v1/nothing", "raw_path": b"/v1/nothing"}, receive, send)
            return

        async def counted() -> Message:
            message = await receive()
            if body := message.get("body"):  # the whole of it comes at once
                self.together.append(len(json.loads(body)["reports"]))
            return message

        await self._app(scope, counted, send)


@pytest.mark.parametrize("knows", [True, False])
async def test_a_deployer_tells_together_what_is_due_together_and_one_by_one_where_that_is_not_known(
    served: World, knows: bool
) -> None:
    way = Narrow(served.app.asgi, knows=knows)
    served.door._app = way
    served.door.shut = True
    async with served.deployer() as deployer:
        changes = [(await served.serve(100, name=name), name) for name in ("fraud", "other")]
        await eventually(lambda: deployer.reports.status().waiting == 2)
        served.door.shut = False
        await served.reported(*((change, "edge", "succeeded") for change, _ in changes))
        await eventually(lambda: deployer.reports.status().waiting == 0)
        served.recorder.gate.clear()
        for weight in (10, 20):
            for _, name in changes:
                await served.serve(100 - weight, weight, name=name)
        served.recorder.gate.set()
        await eventually(lambda: len(served.events(e.DeploymentReported)) == 6)
        await eventually(lambda: deployer.reports.status().waiting == 0)
    alone = [path for path in way.paths if path.endswith("/reports")]
    assert len(alone) + sum(way.together) == 6
    assert all(many > 1 for many in way.together)
    assert deployer.reports.status().refused == 0
    if not knows:
        assert TOGETHER in way.paths
        assert len(alone) == 6
