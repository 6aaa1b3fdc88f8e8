"""The SDK's writes on environments, targets and endpoints against a real registry, of both clients."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.support.payloads import numbered_version
from tests.support.server import RunningServer, running_server

from regista.client import AsyncClient, Client
from regista.domain.errors import Invalid, PreconditionFailed, Refused, Retired
from regista.wire.deployments import CanaryStep, Guardrail, ObservedVariant, VariantRequest

WHY = "because"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, actor="tester") as client:
        yield client


@pytest.fixture
def name(client: Client) -> str:
    """A model with three versions in staging, and an environment, a target and an endpoint of the same name."""
    name = f"x{uuid4().hex[:8]}"
    client.create_model(name)
    for number in range(3):
        client.register_version(name, numbered_version(number))
        client.promote(name, str(number + 1), to="staging", reason=WHY, keep_existing=True)
    client.define_environment(name, stages=["staging"])
    client.put_target(name, kind="directory")
    client.create_endpoint(name, name, model=name, targets=[name])
    return name


def test_an_endpoint_lives_and_every_write_answers_what_it_made(client: Client, name: str) -> None:
    updated = client.update_endpoint(
        name,
        name,
        follow="@nobody",
        guardrails=[Guardrail(metric="errors", limit="maximum", value=0.02, minimum_samples=500)],
    )
    assert (updated.follow, updated.guardrails[0].value) == ("@nobody", 0.02)
    assert client.update_endpoint(name, name, description="d").follow == "@nobody"
    split = client.change_traffic(name, name, {"1": 87.5, "2": 12.5}, reason=WHY, cause=f"model/{name}@3")
    assert [(v.ordinal, v.role, v.weight) for v in split.variants] == [(1, "champion", 87.5), (2, "challenger", 12.5)]
    assert split.change == split.sequence
    [event] = client.events(after=split.position - 1)
    assert event.cause == f"model/{name}@3"
    seen = ObservedVariant(artifact_digest=split.variants[0].artifact_digest, weight=100)
    report = client.report_deployment(
        name, name, target=name, change=split.change, state="succeeded", observed=[seen], detail="ok"
    )
    assert (report.state, report.observed[0].version) == ("succeeded", split.variants[0].version)
    measured = [{"version": split.variants[1].version, "metric": "errors", "value": 0.01, "samples": 500}]
    verdict = client.conclude_experiment(name, name, change=split.change, verdict="promote", measured=measured)
    assert verdict.verdict == "promote"
    alone = client.change_traffic(name, name, promote="2", reason=WHY, expect_change=split.change)
    assert [(v.ordinal, v.weight) for v in alone.variants] == [(2, 100)]
    back = client.roll_back_endpoint(name, name, reason=WHY)
    assert [v.ordinal for v in back.variants] == [1, 2]
    with pytest.raises(Refused) as caught:
        client.follow_version(name, name, followed="@nobody", reason=WHY)
    assert caught.value.code == "nothing_to_follow"
    client.change_traffic(name, name, promote="3", reason=WHY)
    whole = client.roll_back_environment(name, at=split.position, reason=WHY)
    assert whole.events is None or [e.stream for e in whole.events] == [f"endpoint/{name}/{name}"]
    assert client.update_endpoint(name, name, follow=None).follow is None
    assert client.retire_endpoint(name, name, reason=WHY).retired
    with pytest.raises(Retired):
        client.change_traffic(name, name, promote="1", reason=WHY)
    assert client.remove_target(name, reason=WHY).removed


def test_a_canary_with_a_shadow_goes_on_step_by_step(client: Client, name: str) -> None:
    variants = [
        VariantRequest(version="1", weight=95),
        VariantRequest(version="2", weight=5, role="canary"),
        VariantRequest(version="3", role="shadow"),
    ]
    steps = [
        CanaryStep(weight=5, hold_seconds=600, minimum_requests=500),
        CanaryStep(weight=50),
        CanaryStep(weight=100),
    ]
    begun = client.change_traffic(name, name, variants, canary=steps, reason=WHY, expect_change=None)
    assert begun.canary is not None
    assert (begun.canary.step, [s.weight for s in begun.canary.steps]) == (1, [5, 50, 100])
    assert [(v.role, v.weight, v.mirror) for v in begun.variants] == [
        ("champion", 95, 0),
        ("canary", 5, 0),
        ("shadow", 0, 100),
    ]
    further = client.change_traffic(name, name, advance=True, reason=WHY)
    assert [v.weight for v in further.variants] == [50, 50, 0]
    with pytest.raises(PreconditionFailed):
        client.change_traffic(name, name, advance=True, reason=WHY, expect_change=begun.change)
    with pytest.raises(PreconditionFailed):
        client.roll_back_endpoint(name, name, reason=WHY, expect_change=begun.change)
    with pytest.raises(PreconditionFailed):
        client.retire_endpoint(name, name, reason=WHY, expect_change=begun.change or 0)


def test_a_refusal_has_every_reason_and_a_dry_run_changes_nothing(client: Client, name: str) -> None:
    with pytest.raises(Refused) as caught:
        client.change_traffic(name, name, {"1": 50, "9": 20}, reason=WHY)
    assert {reason.code for reason in caught.value.reasons} == {"unknown_version", "weights_do_not_sum"}
    with pytest.raises(Invalid):
        client.change_traffic(name, name, {"1": 33.333, "2": 66.667}, reason=WHY)
    with pytest.raises(Invalid):
        client.change_traffic(name, name, promote="1", reason=WHY, cause="nothing")
    with pytest.raises(Refused):
        client.remove_target(name, reason=WHY)
    with pytest.raises(Refused):
        client.create_endpoint(name, "other", model=f"{name}-unknown")
    before = client.position
    plan = client.change_traffic.dry_run(name, name, promote="1", reason=WHY)
    assert [event.type for event in plan.events] == ["regista.endpoint.traffic-changed.v1"]
    assert [event.type for event in client.define_environment.dry_run(f"{name}-new", stages=["production"]).events] == [
        "regista.environment.defined.v1"
    ]
    assert list(client.events(after=before, actor="tester")) == []


async def test_the_awaited_client_writes_the_same_once(server: RunningServer, name: str) -> None:
    async with AsyncClient(server.url, actor="system:deployer") as awaited:
        first = await awaited.change_traffic(name, name, promote="1", reason=WHY, command_id=f"{name}-c")
        again = await awaited.change_traffic(name, name, promote="1", reason=WHY, command_id=f"{name}-c")
        assert (again.replayed, again.position) == (True, first.position)
        report = await awaited.report_deployment(
            name, name, target=name, change=first.change or 0, state="failed", command_id=f"deployer:{name}:failed"
        )
        assert report.state == "failed"
        assert (await awaited.command(f"deployer:{name}:failed")).position == report.position


def test_a_name_cannot_lead_elsewhere() -> None:
    with Client("http://127.0.0.1:1", attempts=1) as client, pytest.raises(Invalid):
        client.retire_endpoint("prod/..", "fraud", reason=WHY)
