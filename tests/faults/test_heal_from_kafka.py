"""Invariant 9: a store that was lost, fell back or was swapped comes back from Kafka, and the log goes on."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from tests.support.intake import results
from tests.support.payloads import version_body
from tests.support.server import RunningServer, environment, hasty, running_server
from tests.support.topics import delete_topics

from regista import CommandPublisher
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.domain.errors import RegistaError
from regista.store.sqlite import SQLiteLogReader
from regista.wire.orders import Order

pytestmark = pytest.mark.engine("kafka")
PATIENCE = 30.0


def given(settings: KafkaSettings) -> dict[str, Any]:
    return {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix}


def ended(data: Path, arguments: tuple[str, ...], **settings: object) -> subprocess.CompletedProcess[str]:
    """The program, run on the data directory."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("regista")), *arguments, "--data", str(data), "--json"],
        env=environment(data, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def regista(data: Path, settings: KafkaSettings, *arguments: str) -> dict[str, Any]:
    """What the program answers."""
    done = ended(data, arguments, **given(settings))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def fill(server: RunningServer, model: str) -> int:
    """A few events; the position of the last."""
    with server.client() as client:
        client.post("/v1/models", json={"name": model}).raise_for_status()
        client.post(f"/v1/models/{model}/versions", json=version_body("1.0.0")).raise_for_status()
        moved = client.post(f"/v1/models/{model}/versions/1.0.0/promote", json={"to": "staging", "reason": "fit"})
        moved.raise_for_status()
        position: int = moved.json()["position"]
        return position


def relay_of(server: RunningServer) -> dict[str, Any]:
    relay: dict[str, Any] = httpx.get(f"{server.url}/v1/status", timeout=30).json()["components"]["relay"]
    return relay


def publish(server: RunningServer, position: int) -> None:
    """Return when Kafka has everything up to a position."""
    deadline = monotonic() + PATIENCE
    while (relay := relay_of(server))["position"] < position:
        assert monotonic() < deadline, relay


def rows(data: Path) -> list[object]:
    reader = SQLiteLogReader(data / "log.db")
    try:
        return list(reader.read(1, 10_000))
    finally:
        reader.close()


def test_a_deleted_store_comes_back_byte_for_byte_and_goes_on(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, **given(kafka_settings)) as server:
        publish(server, fill(server, "fraud"))
    before = rows(data)
    shutil.rmtree(data)
    healed = regista(data, kafka_settings, "heal", "--reason", "the disk died")
    assert rows(data)[:-1] == before
    assert (healed["restored"], healed["quarantined"]) == (len(before), 0)
    with running_server(data, **given(kafka_settings)) as server:
        position = fill(server, "churn")
        assert position > healed["position"] > 1_000_000
        publish(server, position)
        with server.client() as client:
            stage = client.get("/v1/models/fraud/versions/1.0.0", params={"min_position": position}).json()["stage"]
            verified = client.post("/v1/admin/verify", params={"kafka": True}, timeout=60).json()
    assert stage == "staging"
    assert verified["ok"], verified["problems"]
    assert verified["kafka"]["head"] == verified["head"]


def test_a_store_from_an_old_backup_halts_the_relay_until_it_is_healed(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with running_server(data, **given(kafka_settings)) as server:
        publish(server, fill(server, "fraud"))
    shutil.copytree(data, backup)
    with running_server(data, **given(kafka_settings)) as server:
        publish(server, fill(server, "churn"))
    before = rows(data)
    with running_server(backup, ready=False, **given(kafka_settings)) as server:
        wrote = fill(server, "forked")  # what nobody would do, and a script does
        deadline = monotonic() + PATIENCE
        while relay_of(server)["state"] != "halted":
            assert monotonic() < deadline, relay_of(server)
        assert relay_of(server)["code"] == "log_diverged"
        assert "regista heal" in relay_of(server)["hint"]
        while httpx.get(f"{server.url}/readyz", timeout=30).status_code != httpx.codes.SERVICE_UNAVAILABLE:
            assert monotonic() < deadline, "what was found out is remembered for a second, and not for longer"
        assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == httpx.codes.OK
    forked = [row for row in rows(backup) if row not in before]
    healed = regista(backup, kafka_settings, "heal")
    assert rows(backup)[:-1] == before
    assert healed["quarantined"] == len(forked) > 0
    assert healed["position"] > wrote + 1_000_000
    aside = [json.loads(line) for line in Path(healed["quarantine"]).read_text().splitlines()]
    assert [line["position"] for line in aside] == [row.position for row in forked]  # type: ignore[attr-defined]
    with running_server(backup, **given(kafka_settings)) as server:
        publish(server, healed["position"])
        with server.client() as client:
            assert client.get("/v1/models/churn", params={"min_position": healed["position"]}).status_code == 200
            assert client.get("/v1/models/forked").status_code == 404
    again = regista(backup, kafka_settings, "heal")
    assert (again["restored"], again["queues"]) == (0, False)


async def test_a_backup_that_lacks_answers_alone_is_healed_too(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """A refusal leaves no event: the events are equal, and yet the store is not where Kafka is."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    with running_server(data, **given(kafka_settings)):
        async with CommandPublisher(kafka_settings, actor="ann") as commands:
            await commands.create_model("fraud")
    shutil.copytree(data, backup)
    with running_server(data, **given(kafka_settings)):
        async with CommandPublisher(kafka_settings, actor="ann") as commands:
            with pytest.raises(RegistaError):
                await commands.create_model("fraud")
    healed = await asyncio.to_thread(regista, backup, kafka_settings, "heal")
    assert (healed["restored"], healed["quarantined"], healed["queues"]) == (0, 0, True)
    with running_server(backup, **given(kafka_settings)):
        async with CommandPublisher(kafka_settings, actor="ann") as commands:
            assert (await commands.create_model("churn")).sequence == 1
    assert not (await asyncio.to_thread(regista, backup, kafka_settings, "heal"))["queues"]


async def test_what_was_refused_since_the_commands_topic_was_made_anew_is_not_decided_again(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """The answers of the old topic are still there, with higher offsets than those of the new one."""

    def describe(command_id: str) -> Order:
        return Order(command_id, "ann", "UpdateModel", {"model": "churn"}, body='{"description": "x"}')

    async def answered(*orders: Order) -> list[int]:
        async with CommandPublisher(kafka_settings) as commands:
            return [(await (await commands.publish(order)).result()).status for order in orders]

    data = tmp_path / "data"
    with running_server(data, **given(kafka_settings)):
        assert await answered(*(describe(f"old{number}") for number in range(5))) == [404] * 5
    await delete_topics(kafka_settings, Topics(kafka_settings.kafka_prefix).commands)
    await ensure_topics(kafka_settings)
    with running_server(data, hasty(), **given(kafka_settings)) as server:
        assert await answered(describe("late"), Order("new", "ann", "RegisterModel", body='{"name": "churn"}')) == [
            404,
            201,
        ]
        await asyncio.to_thread(publish, server, 2)
    shutil.rmtree(data)
    await asyncio.to_thread(regista, data, kafka_settings, "heal")
    with running_server(data, **given(kafka_settings)):
        assert await answered(describe("after")) == [200]
    told = [(one.result.command_id, one.result.status) for one in await results(kafka_settings, 8)]
    assert sorted(told) == [("after", 200), ("late", 404), ("new", 201), *((f"old{n}", 404) for n in range(5))]


@pytest.mark.engine("postgres")
def test_a_registrar_that_runs_is_named_before_anything_else_is_done(
    kafka_settings: KafkaSettings, postgres_database: str, tmp_path: Path
) -> None:
    heal = ("heal", "--database", postgres_database)
    with running_server(tmp_path, database=postgres_database, **given(kafka_settings)) as server:
        publish(server, fill(server, "fraud"))
        refused = ended(tmp_path, heal, **given(kafka_settings))
        assert refused.returncode != 0
        assert "log_in_use" in refused.stdout + refused.stderr
        assert "(regista, from " in refused.stdout + refused.stderr
        publish(server, fill(server, "churn"))
    done = ended(tmp_path, heal, **given(kafka_settings))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restored"] == 0
