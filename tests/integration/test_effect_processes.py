"""Deployer and notifier as processes beside a registry without Kafka: they follow the log's store, and end in order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.deploying import WHY
from tests.support.payloads import numbered_version
from tests.support.server import RunningServer, running_server

PATIENCE = 30.0


def eventually(holds: Callable[[], Any], what: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


def part(process: RunningServer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{process.url}/v1/status", timeout=30).json()["components"][name]
    return found


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def stores(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the log and the work lie."""
    return {} if request.param == "sqlite" else {"database": request.getfixturevalue("postgres_database")}


def test_they_follow_the_store_of_a_registry_and_call_it(tmp_path: Path, stores: dict[str, Any]) -> None:
    data = tmp_path / "data"
    with running_server(data, "serve", ready=False, **stores) as serve:
        beside = {"url": serve.url, **stores}
        with (
            running_server(data, "deploy", **beside) as deploy,
            running_server(data, "notify", **beside) as notify,
            serve.client() as client,
        ):

            def send(method: str, path: str, body: object) -> Any:
                answer = client.request(method, f"/v1/{path}", json=body)
                assert answer.status_code < 300, answer.text
                return answer.json()

            for process, name in ((deploy, "deployer"), (notify, "notifier")):
                eventually(
                    lambda process=process, name=name: part(process, name)["state"] == "following",  # type: ignore[misc]
                    lambda process=process: process.errors,  # type: ignore[misc]
                )
            send("POST", "models", {"name": "fraud"})
            send("POST", "models/fraud/versions", numbered_version(1))
            send("POST", "models/fraud/versions/1/promote", {"to": "staging", **WHY})
            send("PUT", "environments/prod", {"stages": ["staging"]})
            send("PUT", "targets/edge", {"kind": "directory"})
            created = {
                "environment": "prod",
                "name": "fraud",
                "model": "fraud",
                "targets": ["edge"],
                "follow": "@staging",
            }
            send("POST", "endpoints", created)
            place = data / "targets/edge/files/prod/fraud.json"
            eventually(place.exists, lambda: deploy.errors)
            assert [v["version"] for v in json.loads(place.read_bytes())["variants"]] == ["1.0.0"]
            end = send("PUT", "environments/prod", {"stages": ["staging", "production"]})["position"]
            eventually(lambda: part(notify, "notifier")["position"] >= end, lambda: notify.errors)
            assert 'regista_deployments{state="failed"} 0.0' in httpx.get(f"{deploy.url}/metrics").text
            assert (deploy.terminate(), notify.terminate()) == (0, 0)
            assert (deploy.errors, notify.errors) == ("", "")
