"""Invariant 12: no secret that the registry was given is in the log, the views, an export, an answer or a log line."""

from __future__ import annotations

import asyncio
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


def files_with(folder: Path, secret: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def tried(client: httpx.Client) -> bytes:
    """What is answered to everything that is done with a secret, the last of it that it is removed."""
    target = "/v1/targets/edge"
    answers = [
        client.put(target, json={"kind": "github", "secrets": {"token": SECRET}}),
        client.put(target, json={"kind": "github", "secrets": {"token": SECRET}, "description": "again"}),
        client.put(target, json={"kind": "a/b", "secrets": {"token": SECRET}}),
        client.put(target, json={"kind": "github", "secrets": {"token": SECRET, "": "x"}}),
        client.put(target, json={"kind": "github", "secrets": SECRET}),
        client.put(target, json={"kind": "github", "token": {"token": SECRET}}),
        client.put(target + "?dry_run=true", json={"kind": "github", "secrets": {"token": SECRET + "2"}}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 422, 422, 422, 422, 200]
    answers += [client.get(path) for path in ("/v1/events", "/v1/admin/export", "/v1/status", "/metrics")]
    return b"".join(answer.content for answer in answers)


def test_a_secret_of_a_target_is_in_the_private_table_alone_and_when_it_is_removed_nowhere(tmp_path: Path) -> None:
    with running_server(tmp_path, log_level="debug") as server, server.client() as client:
        told = tried(client)
        assert files_with(tmp_path, SECRET) == ["private.db"]
        told += client.delete("/v1/targets/edge?reason=done").raise_for_status().content
        assert files_with(tmp_path, SECRET) == []
        server.terminate()
        told += server.errors.encode()
    assert SECRET.encode() not in told
    assert files_with(tmp_path, SECRET) == []


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
        assert files_with(tmp_path, SECRET) == []
    records = asyncio.run(events_on(kafka_settings, at_least=3))
    assert not [record for record in records if SECRET.encode() in record]
    assert SECRET.encode() not in told
