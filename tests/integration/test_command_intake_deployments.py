"""Deployments over Kafka: the publisher's methods are those of the client, answer the same, and hold no secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.intake import Taking, taking, until
from tests.support.payloads import version_body

import regista
from regista import CommandPublisher
from regista.bus.settings import KafkaSettings

pytestmark = pytest.mark.engine("kafka")


@pytest.fixture
async def one(tmp_path: Path, kafka_settings: KafkaSettings) -> AsyncIterator[Taking]:
    async with taking(tmp_path, kafka_settings) as running:
        yield running


@pytest.fixture
async def commands(one: Taking, kafka_settings: KafkaSettings) -> AsyncIterator[CommandPublisher]:
    async with CommandPublisher(kafka_settings, actor="ann") as publisher:
        await until(lambda: len(one.intake.state().partitions) == 12, "all partitions")
        yield publisher


async def test_an_endpoint_lives_over_kafka(commands: CommandPublisher, one: Taking) -> None:
    await commands.create_model("fraud")
    await commands.register_version("fraud", version_body("1.0.0"))
    promoted = await commands.promote("fraud", "1.0.0", to="staging", reason="first")
    defined = await commands.define_environment("prod", stages=["staging"])
    put = await commands.put_target("web", kind="directory", settings={"path": "x"})
    made = await commands.create_endpoint("prod", "fraud", model="fraud", targets=["web"])
    assert (defined.stages, put.settings, made.targets) == (["staging"], {"path": "x"}, ["web"])
    cause = f"{promoted.stream}@{promoted.sequence}"
    changed = await commands.change_traffic("prod", "fraud", {"1": 100}, reason="go", cause=cause, expect_change=None)
    assert (changed.stream, changed.change, changed.variants[0].weight) == ("endpoint/prod/fraud", 2, 100)
    row = one.one.log.row(changed.position)
    assert row is not None
    assert cause.encode() in row.value
    report = await commands.report_deployment("prod", "fraud", target="web", change=2, state="succeeded")
    assert report.state == "succeeded"
    with pytest.raises(regista.Refused) as caught:
        await commands.remove_target("web", reason="over")
    assert caught.value.code == "target_in_use"
    assert (await commands.retire_endpoint("prod", "fraud", reason="over", expect_change=2)).retired
    assert (await commands.remove_target("web", reason="over")).removed


async def test_no_secret_reaches_a_topic(commands: CommandPublisher, one: Taking) -> None:
    before = one.intake.state()
    for sent in (
        commands.put_target("web", kind="nginx", secrets={"token": "s3cret"}),
        commands.create_subscription("https://example.org/s3cret"),
        commands.rotate_subscription_secret("crm"),
    ):
        with pytest.raises(regista.Invalid) as caught:
            await sent
        assert caught.value.code == "secret_over_kafka"
    assert one.intake.state() == before
