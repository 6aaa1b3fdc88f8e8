"""Invariant 12: no secret that the registry was given is in the log, the views, an export, an answer or a log line."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.intake import records_of
from tests.support.payloads import version_body
from tests.support.server import RunningServer, running_server

from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics

TOKEN = "correct-horse-battery-staple"
SECRET = "ghp_a-quite-distinctive-secret"


def test_the_token_is_in_no_file_no_answer_and_no_output(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, token=TOKEN)
    told = b""
    try:
        with server.client() as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            client.post("/v1/models", json={"name": "fraud"}).raise_for_status()
            client.post("/v1/models/fraud/versions", json=version_body()).raise_for_status()
            for path in ("/v1/events", "/v1/status", "/metrics", "/v1/admin/export", "/openapi.json"):
                told += client.get(path).raise_for_status().content
            wrong = client.get("/v1/status", headers={"authorization": f"Bearer {TOKEN}x"})
            assert wrong.status_code == 401
            told += wrong.content
        server.terminate()
        told += server.errors.encode()
    finally:
        server.close()
    assert TOKEN.encode() not in told
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]


def files_with_one(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and holds_one(path.read_bytes())]


def tried(client: httpx.Client) -> bytes:
    """What is answered to everything that is done with a secret."""
    target = "/v1/targets/edge"
    hook, signing = f"https://ci.example.org/{SECRET}?{SECRET}", f"whsec_{b64encode(SECRET.encode()).decode()}"
    answers = [
        client.put(target, json={"kind": "github", "secrets": {"token": SECRET}}),
        client.put(target, json={"kind": "github", "secrets": {"token": SECRET}, "description": "again"}),
        client.put(target, json={"kind": "a/b", "secrets": {"token": SECRET}}),
        client.put(target, json={"kind": "github", "secrets": {"token": SECRET, "": "x"}}),
        client.put(target, json={"kind": "github", "secrets": SECRET}),
        client.put(target, json={"kind": "github", "token": {"token": SECRET}}),
        client.put(target + "?dry_run=true", json={"kind": "github", "secrets": {"token": SECRET + "2"}}),
        client.post("/v1/subscriptions", json={"url": hook, "secret": signing, "id": "risk"}),
        client.post("/v1/subscriptions", json={"url": hook, "secret": SECRET}),
        client.post("/v1/subscriptions", json={"url": f"{hook}#x", "secret": signing}),
        client.patch("/v1/subscriptions/risk", json={"url": f"{hook}2"}),
        client.post("/v1/subscriptions/risk/rotate", json={"secret": signing}),
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [201, 200, 422, 422, 422, 422, 200, 201, 422, 422, 200, 409]
    answers += [client.get(path) for path in ("/v1/events", "/v1/admin/export", "/v1/status", "/metrics")]
    return b"".join(answer.content for answer in answers)


def holds_one(content: bytes) -> bool:
    """Whether one of the secrets is in it, as it is or in base64."""
    return SECRET.encode() in content or b64encode(SECRET.encode()) in content


def test_a_secret_is_in_the_private_table_alone_and_when_it_is_removed_nowhere(tmp_path: Path) -> None:
    with running_server(tmp_path, log_level="debug") as server, server.client() as client:
        told = tried(client)
        assert files_with_one(tmp_path) == ["private.db"]
        for path in ("targets/edge", "subscriptions/risk"):
            told += client.delete(f"/v1/{path}?reason=done").raise_for_status().content
        assert files_with_one(tmp_path) == []
        server.terminate()
        told += server.errors.encode()
    assert not holds_one(told)
    assert files_with_one(tmp_path) == []


async def events_on(settings: KafkaSettings, at_least: int) -> list[bytes]:
    """Every key, value and header on the topic of events."""
    async with records_of(settings, Topics(settings.kafka_prefix).events) as read, asyncio.timeout(30):
        while len(found := await read()) < at_least:
            pass
    return [part for record in found for part in (record.key, record.value, *(v for _, v in record.headers)) if part]


@pytest.mark.engine("kafka")
@pytest.mark.engine("postgres")
def test_no_record_on_kafka_has_a_secret(tmp_path: Path, kafka_settings: KafkaSettings, postgres_database: str) -> None:
    kafka: dict[str, Any] = {"kafka": kafka_settings.kafka, "kafka_prefix": kafka_settings.kafka_prefix}
    with (
        running_server(tmp_path, database=postgres_database, acknowledge="kafka", **kafka) as server,
        server.client() as client,
    ):
        told = tried(client)
        assert files_with_one(tmp_path) == []
    records = asyncio.run(events_on(kafka_settings, at_least=5))
    assert not [record for record in records if holds_one(record)]
    assert not holds_one(told)
