"""The oldest line of Kafka that is supported: one way through everything that a registry does with Kafka."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fixtures.kafka import KafkaCluster
from tests.support.payloads import version_body
from tests.support.server import running_server

import regista
from regista.bus.settings import KafkaSettings

pytestmark = pytest.mark.engine("kafka-3.9")


async def test_everything_works_there_too(kafka_old: KafkaCluster, kafka_prefix: str, tmp_path: Path) -> None:
    settings = KafkaSettings(kafka=kafka_old.bootstrap, kafka_prefix=kafka_prefix)
    given: dict[str, Any] = {"kafka": kafka_old.bootstrap, "kafka_prefix": kafka_prefix}
    with ExitStack() as stack:
        stack.enter_context(running_server(tmp_path, "project", **given))
        serve = stack.enter_context(running_server(tmp_path, "serve", ready=False, **given))
        stack.enter_context(running_server(tmp_path, "relay", **given))
        serve.await_ready()
        async with regista.CommandPublisher(settings, actor="ci") as commands:
            await commands.create_model("fraud")
            sent = await commands.send("RegisterVersion", {"model": "fraud"}, version_body("1.0.0"))
            registered = await sent.result(timeout=30)
            again = await (await commands.publish(sent.order)).result(timeout=30)
            with pytest.raises(regista.Refused):
                await commands.promote("fraud", "1.0.0", to="production", reason="skips staging")
        assert registered.answer["version"] == "1.0.0"
        assert again.replayed
        with serve.client() as client:
            moved = client.post("/v1/models/fraud/versions/1.0.0/promote", json={"to": "staging", "reason": "fit"})
            position = moved.json()["position"]
            fresh = client.get("/v1/models/fraud/versions/1.0.0", params={"min_position": position})
            assert fresh.json()["stage"] == "staging"
            verified = client.post("/v1/admin/verify", params={"kafka": True}, timeout=60)
            assert verified.status_code == httpx.codes.OK
            assert verified.json()["ok"]
        seen = []
        async with regista.Subscriber(kafka=settings, from_="start") as events:
            async for event in events:
                seen.append(event.position)
                await event.done()
                if event.position == position:
                    break
        assert seen == list(range(1, position + 1))
