"""The command line on what serves models: environments, targets, endpoints, traffic, rollbacks, and waiting for them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.command_line import Regista
from tests.support.payloads import numbered_version
from tests.support.server import RunningServer, running_server

from regista.client import Client
from regista.wire.inference import Inference

WHY = ("--reason", "because")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("cli"), allow_private=True) as running:
        yield running


@pytest.fixture
def regista(server: RunningServer) -> Regista:
    return Regista(server.url)


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, actor="system:deployer") as client:
        yield client


@pytest.fixture
def model(client: Client) -> str:
    """A model with three versions in staging."""
    name = f"m{uuid4().hex[:8]}"
    client.create_model(name)
    for number in range(3):
        client.register_version(name, numbered_version(number))
        client.promote(name, str(number + 1), to="staging", reason="try", keep_existing=True)
    return name


@pytest.fixture
def endpoint(regista: Regista, model: str) -> str:
    """An endpoint for it, in an environment of its own, deployed to two targets."""
    regista("environment", "define", model, "--stages", "staging,production")
    for target in ("a", "b"):
        regista("target", "put", f"{model}-{target}", "--kind", "directory")
    name = f"{model}/fraud"
    regista("endpoint", "create", name, "--model", model, "--target", f"{model}-a", "--target", f"{model}-b")
    return name


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
    unknown = [("endpoint", "show", "nowhere/fraud"), ("target", "show", "none"), ("environment", "show", "none")]
    for arguments in [*unknown, ("endpoint", "metrics", "nowhere/fraud")]:
        assert "/v1/" not in regista.refused(*arguments)


def test_waiting_ends_when_every_target_has_told(regista: Regista, endpoint: str) -> None:
    environment = endpoint.partition("/")[0]
    said = regista("traffic", endpoint, "--promote", "1", *WHY, "--wait")
    for target in ("a", "b"):
        assert f"{endpoint} on {environment}-{target}  succeeded" in said
    done = regista.json("traffic", endpoint, "1=50", "2=50", *WHY, "--wait")
    assert [(one["target"][-1], one["state"]) for one in done["deployments"]] == [
        ("a", "succeeded"),
        ("b", "succeeded"),
    ]
    back = regista.json("rollback", endpoint, *WHY, "--wait")
    assert {one["change"] for one in back["deployments"]} == {back["change"]}
    regista("endpoint", "update", endpoint, "--no-targets")
    assert "nothing to wait for" in regista.run("traffic", endpoint, "2=100", *WHY, "--wait").stderr


def test_a_target_that_failed_is_exit_code_4(regista: Regista, endpoint: str) -> None:
    environment = endpoint.partition("/")[0]
    regista("target", "put", f"{environment}-b", "--kind", "no-such-kind")
    said = regista("traffic", endpoint, "1=100", *WHY, "--wait", code=4)
    assert f"{environment}-b  failed" in said
    assert "no-such-kind" in said
    back = regista.json("traffic", endpoint, "2=100", *WHY, "--wait", code=4)
    assert [one["state"] for one in back["deployments"]] == ["succeeded", "failed"]
    shown = regista.json("endpoint", "show", endpoint)
    assert (shown["state"], [one["state"] for one in shown["actual"]]) == ("failed", ["succeeded", "failed"])
    assert "no-such-kind" in regista("endpoint", "show", endpoint)


def test_a_target_that_tells_nothing_in_time_is_exit_code_4(regista: Regista, endpoint: str) -> None:
    environment = endpoint.partition("/")[0]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        regista("target", "put", f"{environment}-b", "--kind", "http", "--set", f"url={url}", "--set", "timeout=5")
        late = regista.json("traffic", endpoint, "3=100", *WHY, "--wait", "--timeout", "1", code=4)
    assert [one["state"] for one in late["deployments"]] == ["succeeded", "unknown"]
    assert regista.json("endpoint", "show", endpoint)["pending"] == [f"{environment}-b"]


def test_what_is_served_can_be_looked_at_from_all_sides(regista: Regista, model: str, endpoint: str) -> None:
    regista("endpoint", "update", endpoint, "--guardrail", "errors<=0.02 min=500", "--automatic")
    first = regista.json("traffic", endpoint, "1=90", "2=10", *WHY, "--wait")
    regista("traffic", endpoint, "--promote", "2", "--reason", "it won", "--wait")
    shown = regista("endpoint", "show", endpoint)
    assert re.search(r"wanted +1\.1\.0\n", shown)
    assert "errors<=0.02 min=500" in shown
    assert regista.json("endpoint", "show", endpoint)["state"] == "deployed"
    then = regista.json("endpoint", "show", endpoint, "--at", str(first["position"]))
    assert [v["weight"] for v in then["wanted"]["variants"]] == [90, 10]
    assert [e["endpoint"] for e in regista.json("endpoint", "ls", model)] == ["fraud"]
    assert "1.1.0" in regista("endpoint", "ls", "--model", model)
    assert regista.json("endpoint", "log", endpoint)[1]["change"] == first["change"]
    log = regista("endpoint", "log", endpoint).splitlines()
    assert "it won" in log[1]
    assert "1.0.0 90 %, 1.1.0 challenger 10 %" in log[2]
    assert len(regista.json("endpoint", "log", endpoint, "--deployments")) == 4
    assert "succeeded" in regista("endpoint", "log", endpoint, "--deployments")
    assert endpoint in regista("environment", "show", model)
    assert model in regista("environment", "ls")
    assert "directory" in regista("target", "show", f"{model}-a")
    assert f"{model}-a" in regista("target", "ls")
    said = regista("log", "--stream", f"endpoint/{endpoint}")
    assert f"changed the traffic of {endpoint} to 1.1.0 100 %" in said
    assert f"{endpoint}: changed" not in said
    assert re.search(rf"{endpoint} +deployed +1\.1\.0", regista("show", model))
    assert endpoint in regista("show", model, "2")
    assert endpoint not in regista("show", model, "3")
    assert endpoint in regista("show", model, "1", "--at", str(first["position"]))
    assert endpoint in regista("endpoint", "ls", "--target", f"{model}-a", "--state", "deployed")
    assert regista.json("endpoint", "ls", model, "--state", "failed") == []
    served = regista("production", model)
    assert endpoint in served


def test_regions_that_are_not_named_stay_as_they_are(regista: Regista, model: str, endpoint: str) -> None:
    regista("environment", "define", model, "--stages", "staging", "--regions", "eu,us")
    regista("traffic", endpoint, "1=100", *WHY)
    eu = regista.json("traffic", endpoint, "1=80", "2=20", "--shadow", "3", "--region", "eu", *WHY)
    assert [(v["region"], v["version"], v["weight"]) for v in eu["variants"]] == [
        ("eu", "1.0.0", 80),
        ("eu", "1.1.0", 20),
        ("eu", "1.2.0", 0),
        ("us", "1.0.0", 100),
    ]
    us = regista.json("traffic", endpoint, "--canary", "2:10,100", "--region", "us", *WHY)
    assert [(v["role"], v["weight"]) for v in us["variants"] if v["region"] == "us"] == [
        ("champion", 90),
        ("canary", 10),
    ]
    assert len([v for v in us["variants"] if v["region"] == "eu"]) == 3


def test_a_canary_alone_comes_in_beside_what_is_served(regista: Regista, endpoint: str) -> None:
    assert "nothing is served there yet" in regista.refused("traffic", endpoint, "--canary", "2:5,100", *WHY, code=2)
    regista("traffic", endpoint, "1=100", "--shadow", "3=50", *WHY)
    begun = regista.json("traffic", endpoint, "--canary", "2:5,100", *WHY)
    assert [(v["version"], v["role"], v["weight"], v["mirror"]) for v in begun["variants"]] == [
        ("1.0.0", "champion", 95, 0),
        ("1.1.0", "canary", 5, 0),
        ("1.2.0", "shadow", 0, 50),
    ]


def test_endpoints_that_follow_move_with_the_model_and_the_rest_is_named(
    regista: Regista, client: Client, model: str, endpoint: str
) -> None:
    regista("endpoint", "update", endpoint, "--follow", "@production")
    regista("endpoint", "create", f"{model}/other", "--model", model, "--target", f"{model}-a")
    assert f"{endpoint}  follows @production: it is to serve 1.0.0" in regista(
        "promote", model, "1", "--to", "production", *WHY
    )
    done = regista.json("promote", model, "2", "--to", "production", *WHY, "--wait")
    assert [(one["endpoint"], one["state"]) for one in done["endpoints"]] == [(endpoint, "moved")]
    assert [one["state"] for one in done["deployments"]] == ["succeeded", "succeeded"]
    regista("traffic", f"{model}/other", "2=100", *WHY)
    back = regista.json("rollback", model, *WHY, "--wait")
    assert {one["endpoint"]: one["state"] for one in back["endpoints"]} == {
        endpoint: "moved",
        f"{model}/other": "stays",
    }
    [rest] = [one["command"] for one in back["endpoints"] if one["command"]]
    assert rest == f"regista traffic {model}/other --promote 1.0.0 --reason …"
    regista(*rest.split()[1:-1], "because")
    assert client.endpoint(model, "other").wanted.variants[0].version == "1.0.0"
    said = regista("rollback", model, "--to", "2", *WHY)
    assert f"{model}/other  serves 1.0.0, and does not follow @production" in said


def test_a_follower_that_the_rules_hold_back_is_told_with_the_reason(
    regista: Regista, model: str, endpoint: str
) -> None:
    regista("environment", "define", model, "--stages", "production")
    regista("endpoint", "update", endpoint, "--follow", "@best")
    said = regista("alias", "set", model, "best", "1")
    assert "did not let 1.0.0 in" in said
    assert "serves production" in said
    assert "refused" in regista("endpoint", "show", endpoint)
    assert regista.json("alias", "set", model, "best", "2", "--wait", code=4)["endpoints"][0]["state"] == "refused"


def test_an_environment_goes_back_to_a_moment_as_one(regista: Regista, model: str, endpoint: str) -> None:
    regista("endpoint", "create", f"{model}/other", "--model", model, "--target", f"{model}-a")
    for name in (endpoint, f"{model}/other"):
        then = regista.json("traffic", name, "1=100", *WHY)["position"]
    for name in (endpoint, f"{model}/other"):
        regista("traffic", name, "2=100", *WHY)
    back = regista.json("rollback", "--environment", model, "--at", str(then), *WHY, "--wait")
    assert sorted(one["stream"] for one in back["events"]) == [f"endpoint/{endpoint}", f"endpoint/{model}/other"]
    assert {one["state"] for one in back["deployments"]} == {"succeeded"}
    assert len(back["deployments"]) == 3


def test_what_is_measured_is_told_for_each_variant(regista: Regista, client: Client, endpoint: str) -> None:
    regista("endpoint", "update", endpoint, "--guardrail", "errors<=0.02 min=50")
    regista("traffic", endpoint, "1=50", "2=50", *WHY, "--wait")
    environment, name = endpoint.split("/")
    now = datetime.now(UTC)
    for number in (1, 2):
        served = client.version(environment, str(number))
        report = Inference(
            id=f"{environment}-{number}",
            version=served.version,
            artifact_digest=served.artifact.digest,
            started_at=now,
            ended_at=now + timedelta(seconds=5),
            requests=10,
            errors=number,
        )
        assert [client.report_inference(environment, name, [report]).taken for _ in range(2)] == [1, 1]
    found = client.endpoint_metrics(environment, name)
    assert [(one.version, one.requests, one.errors) for one in found.variants] == [("1.0.0", 10, 1), ("1.1.0", 10, 2)]
    said = regista("endpoint", "metrics", endpoint)
    assert re.search(r"1\.1\.0 challenger +10 +2 ", said)
    assert "watched further" in said
    assert regista.json("endpoint", "metrics", endpoint)["change"]["change"] == found.change.change  # type: ignore[union-attr]  # there is one
