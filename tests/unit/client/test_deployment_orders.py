"""What the client's writes on deployments say over Kafka: the orders of the registrar, word for word."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import regista
from regista.bus.commands.records import decode_order, encode_order, key_of
from regista.bus.commands.transport import OverKafka
from regista.client import AsyncClient
from regista.domain.commands import UNSET
from regista.domain.endpoint import commands as c
from regista.domain.environment import commands as environments
from regista.domain.events import CanaryStep, Guardrail, Measured
from regista.domain.subscription import commands as subscriptions
from regista.domain.target import commands as targets
from regista.registrar.commands import Command
from regista.registrar.orders import request_of
from regista.wire.orders import CommandResult, Order

DIGEST = "sha256:" + "a" * 64


class Registry:
    """Takes orders, and refuses them all: only what was sent matters here."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    async def carry_out(self, order: Order) -> CommandResult:
        self.orders.append(decode_order(encode_order(order)))
        body = json.dumps({"code": "no", "detail": "no"})
        time = datetime(2026, 5, 4, tzinfo=UTC)
        return CommandResult(
            order.command_id, order.actor, order.type, 409, False, "no", None, None, None, None, body, time
        )


async def said(write: str, *args: object, **kwargs: object) -> Command:
    """The command that a write of the client becomes in the registrar."""
    registry = Registry()
    async with AsyncClient(
        "http://127.0.0.1:1", actor="ci", attempts=1, transport=OverKafka(registry.carry_out)
    ) as client:
        with pytest.raises(regista.Refused):
            await getattr(client, write)(*args, **kwargs)
    [order] = registry.orders
    request = request_of(order)
    assert (request.reason, request.cause) == (kwargs.get("reason"), kwargs.get("cause"))
    assert key_of(order).decode().partition("/")[0] in {"environment", "target", "endpoint", "subscription"}
    return request.command


async def test_environments_and_targets() -> None:
    assert await said("define_environment", "prod", stages=["production"], regions=["eu"], description="d") == (
        environments.DefineEnvironment("prod", ("production",), ("eu",), "d")
    )
    moment = datetime(2026, 5, 4, tzinfo=UTC)
    for at, text in ((7, "7"), (moment, "2026-05-04T00:00:00Z"), ("2026-05-04T00:00:00Z", "2026-05-04T00:00:00Z")):
        assert await said("roll_back_environment", "prod", at=at, reason="r") == (
            environments.RollBackEnvironment("prod", text)
        )
    put = await said("put_target", "web", kind="nginx", settings={"port": 80}, description="d")
    assert put == targets.PutTarget("web", "nginx", '{"port":80}', (), "d")
    assert await said("remove_target", "web", reason="r") == targets.RemoveTarget("web")


async def test_what_describes_an_endpoint() -> None:
    rail = Guardrail("errors", "maximum", False, 0.02, 500)
    created = await said(
        "create_endpoint",
        "prod",
        "fraud",
        model="fraud",
        targets=["web"],
        follow="@production",
        automatic=True,
        guardrails=[{"metric": "errors", "limit": "maximum", "value": 0.02, "minimum_samples": 500}],
        description="d",
    )
    assert created == c.CreateEndpoint("prod", "fraud", "fraud", ("web",), "@production", True, (rail,), "d")
    assert await said("update_endpoint", "prod", "fraud", automatic=False) == (
        c.UpdateEndpoint("prod", "fraud", automatic=False)
    )
    assert await said("update_endpoint", "prod", "fraud", follow=None, targets=[], guardrails=[]) == (
        c.UpdateEndpoint("prod", "fraud", targets=(), follow=None, guardrails=())
    )
    assert await said("retire_endpoint", "prod", "fraud", reason="r", expect_change=4) == (
        c.RetireEndpoint("prod", "fraud", 4)
    )
    assert await said("retire_endpoint", "prod", "fraud", reason="r") == c.RetireEndpoint("prod", "fraud", UNSET)


async def test_what_is_served() -> None:
    weights = await said("change_traffic", "prod", "fraud", {"1.4.0": 87.5, "@x": 12.5}, reason="r", expect_change=None)
    assert weights == c.ChangeTraffic(
        "prod", "fraud", (c.VariantRequest("1.4.0", 8750), c.VariantRequest("@x", 1250)), expect_change=None
    )
    shadow = {"version": "2", "role": "shadow", "mirror": 50, "region": "eu", "digest": DIGEST}
    steps = [{"weight": 5, "hold_seconds": 600, "minimum_requests": 500}]
    whole = await said("change_traffic", "prod", "fraud", [shadow], canary=steps, reason="r", expect_change=4)
    assert whole == c.ChangeTraffic(
        "prod",
        "fraud",
        (c.VariantRequest("2", 0, "shadow", "eu", 5000, DIGEST),),
        (CanaryStep(500, 600, 500),),
        expect_change=4,
    )
    assert await said("change_traffic", "prod", "fraud", promote="2", reason="r", cause="model/fraud@3") == (
        c.ChangeTraffic("prod", "fraud", promote="2")
    )
    assert await said("change_traffic", "prod", "fraud", advance=True, reason="r") == (
        c.ChangeTraffic("prod", "fraud", advance=True)
    )
    assert await said("roll_back_endpoint", "prod", "fraud", to=3, reason="r", expect_change=4) == (
        c.RollBackEndpoint("prod", "fraud", 3, 4)
    )
    assert await said("follow_version", "prod", "fraud", followed="@production", version="2", reason="r") == (
        c.FollowVersion("prod", "fraud", "@production", "2")
    )


async def test_what_is_told() -> None:
    seen = {"artifact_digest": DIGEST, "role": "champion", "weight": 100}
    report = await said(
        "report_deployment",
        "prod",
        "fraud",
        target="web",
        change=4,
        state="succeeded",
        observed=[seen],
        detail="d",
        attempts=3,
    )
    observed = c.ObservedVariant(DIGEST, "champion", 10_000)
    assert report == c.ReportDeployment("prod", "fraud", "web", 4, "succeeded", (observed,), "d", 3)
    measured = {"version": "2.0.0", "metric": "errors", "value": 0.5, "samples": 9, "limit": 0.1}
    conclusion = await said(
        "conclude_experiment",
        "prod",
        "fraud",
        change=4,
        verdict="roll_back",
        measured=[measured],
        explanation=["e"],
        step=2,
    )
    assert conclusion == c.ConcludeExperiment(
        "prod", "fraud", 4, "roll_back", (Measured("2.0.0", None, "errors", 0.5, 9, 0.1),), ("e",), 2
    )


async def test_subscriptions_but_for_what_has_a_secret() -> None:
    filters = {"types": ["version.*"], "models": ["fraud"], "streams": [], "environments": ["prod"], "actors": ["ci"]}
    changed = await said(
        "update_subscription", "crm", **filters, template="slack", description="d", disabled=True, reason="r"
    )
    assert changed == subscriptions.UpdateSubscription(
        "crm", None, ("version.*",), ("fraud",), (), ("prod",), ("ci",), "slack", "d", True
    )
    assert await said("remove_subscription", "crm", reason="r") == subscriptions.RemoveSubscription("crm")
    for write, arguments in (
        ("create_subscription", {"url": "https://example.org/hook"}),
        ("update_subscription", {"subscription": "crm", "url": "https://example.org/hook"}),
        ("rotate_subscription_secret", {"subscription": "crm"}),
        ("put_target", {"target": "web", "kind": "nginx", "secrets": {"token": "t"}}),
    ):
        with pytest.raises(regista.Invalid) as caught:
            await said(write, **arguments)
        assert caught.value.code == "secret_over_kafka"
