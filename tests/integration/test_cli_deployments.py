"""The command line on what serves models: environments, targets, endpoints, traffic, rollbacks, and waiting for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support.server import RunningServer, running_server
from typer.testing import CliRunner, Result

from regista.cli.app import build
from regista.client import Client

WHY = ("--reason", "because")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("cli")) as running:
        yield running


class Regista:
    """Runs commands in this process, on the registry of the test."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        environment = {"REGISTA_URL": self.url, "REGISTA_ACTOR": "tester"}
        return CliRunner().invoke(build(), [str(argument) for argument in arguments], env=environment, input=stdin)

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        done = self.run(*arguments)
        assert done.exit_code == code, done.output
        return done.stdout

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))

    def refused(self, *arguments: str | Path, code: int = 1) -> str:
        done = self.run(*arguments)
        assert done.exit_code == code, done.output
        assert done.stdout == ""
        return done.stderr


@pytest.fixture
def regista(server: RunningServer) -> Regista:
    return Regista(server.url)


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, actor="system:deployer") as client:
        yield client


def version(number: int) -> dict[str, object]:
    return {
        "artifact": {"uri": f"s3://m/{number}", "digest": f"sha256:{number:064x}", "size": 1, "format": "onnx"},
        "code": {"repository": "https://git.example/fraud", "commit": "0" * 40},
        "datasets": [{"name": "transactions", "version": str(number)}],
        "metrics": {"auc": 0.9},
        "author": "ann",
        "trained_at": "2026-05-04T12:00:00Z",
    }


@pytest.fixture
def model(client: Client) -> str:
    """A model with three versions in staging."""
    name = f"m{uuid4().hex[:8]}"
    client.create_model(name)
    for number in range(3):
        client.register_version(name, version(number))
        client.promote(name, str(number + 1), to="staging", reason="try", keep_existing=True)
    return name


@pytest.fixture
def endpoint(regista: Regista, model: str) -> str:
    """An endpoint for it, in an environment of its own, deployed to two targets."""
    regista("environment", "define", model, "--stages", "staging,production")
    for target in ("a", "b"):
        regista("target", "put", f"{model}-{target}", "--kind", "nginx")
    name = f"{model}/fraud"
    regista("endpoint", "create", name, "--model", model, "--target", f"{model}-a", "--target", f"{model}-b")
    return name


@contextmanager
def answering(server: RunningServer, answer: Callable[[Client, Any], None]) -> Iterator[None]:
    """Somebody who reads each event as it becomes visible, in the place of deployers and followers."""
    with Client(server.url, actor="system:deployer") as client:
        begin = client.status().log_position

        def run() -> None:
            for event in client.follow(after=begin):
                if event.type == "regista.model.retired.v1":
                    return
                answer(client, event)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            end = f"e{uuid4().hex[:8]}"
            client.create_model(end)
            client.retire_model(end, reason="the test is over")
            thread.join(30)
            assert not thread.is_alive()


def deploys(**states: str) -> Callable[[Client, Any], None]:
    """A deployer: it tells a state for each target, by the end of the target's name; ``silent`` for nothing."""

    def answer(client: Client, event: Any) -> None:
        kinds = ("regista.endpoint.traffic-changed.v1", "regista.endpoint.rolled-back.v1")
        if event.type not in kinds:
            return
        _, environment, name = event.stream.split("/")
        for target, state in states.items():
            client.report_deployment(
                environment,
                name,
                target=f"{environment}-{target}",
                change=event.sequence,
                state=state,  # type: ignore[arg-type]  # one of its words
                detail="no room" if state == "failed" else None,
                attempts=2,
            )

    return answer


def test_environments_and_targets_are_said_as_a_whole(regista: Regista, model: str, tmp_path: Path) -> None:
    said = regista("environment", "define", model, "--stages", "staging, production", "--regions", "eu,us")
    assert said.startswith(f"{model}  serves staging, production in eu, us\n")
    (tmp_path / "s.json").write_text('{"port": 80}')
    put = regista.json("target", "put", model, "--kind", "nginx", "--settings", tmp_path / "s.json", "--set", "port=81")
    assert (put["kind"], put["settings"], put["removed"]) == ("nginx", {"port": 81}, False)
    (tmp_path / "token").write_text("s3cret-of-the-target\n")
    given = ("target", "put", model, "--kind", "nginx")
    kept = regista.run(*given, "--secret", f"a=@{tmp_path / 'token'}", "--secret", "b=-", stdin="other\n")
    assert kept.exit_code == 0, kept.output
    assert "s3cret-of-the-target" not in kept.output
    assert [one["name"] for one in regista.json(*given, "--forget-secret", "a")["secrets"]] == ["b"]
    assert "is removed" in regista("target", "rm", model, *WHY)
    assert "unknown_target" in regista.refused("target", "rm", model, *WHY)
    assert "--secret" in regista.refused("target", "put", model, "--kind", "x", "--secret", "a=open", code=2)
    assert "--stages" in regista.refused("environment", "define", model, code=2)


def test_an_endpoint_lives(regista: Regista, endpoint: str) -> None:
    changed = regista.json(
        "endpoint", "update", endpoint, "--follow", "@production", "--automatic", "--guardrail", "errors<=0.02 min=500"
    )
    assert (changed["follow"], changed["automatic"], len(changed["targets"])) == ("@production", True, 2)
    assert changed["guardrails"][0]["minimum_samples"] == 500
    back = regista.json("endpoint", "update", endpoint, "--no-follow", "--no-automatic", "--no-guardrails")
    assert (back["follow"], back["automatic"], back["guardrails"]) == (None, False, [])
    said = regista("traffic", endpoint, "1=90", "2=10", "--shadow", "3=50", *WHY)
    assert "serves    1.0.0 90 %, 1.1.0 challenger 10 %, 1.2.0 shadow mirrored 50 %" in said
    alone = regista.json("traffic", endpoint, "--promote", "2", *WHY)
    assert [v["ordinal"] for v in alone["variants"]] == [2]
    rolled = regista.json("rollback", endpoint, *WHY, "--expect", str(alone["change"]))
    assert [v["ordinal"] for v in rolled["variants"]] == [1, 2, 3]
    assert "expectation_failed" in regista.refused("rollback", endpoint, *WHY, "--expect", str(alone["change"]))
    again = regista.json("rollback", endpoint, "--to", str(alone["change"]), *WHY)
    assert [v["ordinal"] for v in again["variants"]] == [2]
    assert "[unknown_change]" in regista.refused("rollback", endpoint, "--to", "1", *WHY)
    plan = regista("traffic", endpoint, "--promote", "1", *WHY, "--dry-run", "--wait")
    assert f"would append regista.endpoint.traffic-changed.v1 as endpoint/{endpoint}" in plan
    assert "expectation_failed" in regista.refused("endpoint", "retire", endpoint, *WHY, "--expect-change", "2")
    assert "is retired" in regista("endpoint", "retire", endpoint, *WHY)


def test_a_canary_goes_step_by_step(regista: Regista, endpoint: str) -> None:
    begun = regista.json("traffic", endpoint, "1", "--canary", "2:5/10m/500,50,100", *WHY)
    assert [(v["role"], v["weight"]) for v in begun["variants"]] == [("champion", 95), ("canary", 5)]
    assert "1.1.0: step 2 of 3 (5 % → 50 % → 100 %)" in regista("traffic", endpoint, "--advance", *WHY)
    regista("traffic", endpoint, "--advance", *WHY)
    ended = regista.json("traffic", endpoint, "--advance", *WHY)
    assert (ended["canary"], [v["version"] for v in ended["variants"]]) == (None, ["1.1.0"])


def test_what_is_wrong_with_traffic_is_told_in_the_words_of_the_command_line(regista: Regista, endpoint: str) -> None:
    said = regista.refused("traffic", endpoint, "1=50", "9=20", *WHY)
    assert "has no version 9" in said
    assert "sum to 70 %" in said
    unreadable: list[tuple[str, ...]] = [(), ("1=100", "--advance"), ("--promote", "1", "--region", "eu"), ("1=x",)]
    for arguments in unreadable:
        regista.refused("traffic", endpoint, *arguments, *WHY, code=2)
    unreadable = [
        ("--environment", "prod"),
        (endpoint, "--environment", "prod", "--at", "1"),
        (endpoint, "--stage", "staging"),
        (endpoint, "--to", "1.0.0"),
        ("fraud", "--at", "1"),
        (),
    ]
    for arguments in unreadable:
        regista.refused("rollback", *arguments, *WHY, code=2)
    assert "/v1/" not in regista.refused("traffic", "nowhere/fraud", "1=100", *WHY)
    assert "regista endpoint ls" in regista.refused("rollback", "nowhere/fraud", *WHY)


def test_waiting_ends_when_every_target_has_told(regista: Regista, server: RunningServer, endpoint: str) -> None:
    with answering(server, deploys(a="succeeded", b="succeeded")):
        said = regista("traffic", endpoint, "--promote", "1", *WHY, "--wait")
        environment = endpoint.partition("/")[0]
        assert f"{endpoint} on {environment}-a  succeeded at attempt 2" in said
        done = regista.json("traffic", endpoint, "--promote", "2", *WHY, "--wait")
        assert [one["state"] for one in done["deployments"]] == ["succeeded", "succeeded"]


def test_a_target_that_failed_or_told_nothing_is_exit_code_4(
    regista: Regista, server: RunningServer, endpoint: str
) -> None:
    with answering(server, deploys(a="succeeded", b="failed")):
        assert "failed at attempt 2: no room" in regista("traffic", endpoint, "1=100", *WHY, "--wait", code=4)
        regista("traffic", endpoint, "2=100", *WHY)
        back = regista.json("rollback", endpoint, *WHY, "--wait", code=4)
        assert sorted(one["state"] for one in back["deployments"]) == ["failed", "succeeded"]
    with answering(server, deploys(a="succeeded")):
        late = regista.json("traffic", endpoint, "3=100", *WHY, "--wait", "--timeout", "1", code=4)
        assert sorted(one["state"] for one in late["deployments"]) == ["succeeded", "unknown"]


def test_a_newer_change_that_is_told_of_overtakes(regista: Regista, server: RunningServer, endpoint: str) -> None:
    first = regista.json("traffic", endpoint, "1=100", *WHY, "--command-id", endpoint)
    with answering(server, deploys(a="succeeded", b="succeeded")):
        regista("traffic", endpoint, "2=100", *WHY, "--wait")
    again = regista.json("traffic", endpoint, "1=100", *WHY, "--command-id", endpoint, "--wait", code=4)
    assert (again["replayed"], again["change"]) == (True, first["change"])
    assert {one["state"] for one in again["deployments"]} == {"superseded"}
