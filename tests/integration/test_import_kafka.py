"""Imports where others are at work: Kafka has the beginning of the log already, or another registrar writes to it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from tests.support.chained_log import filled
from tests.support.relaying import published, relaying
from tests.support.server import running_server

from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics
from regista.domain.errors import Refused, Unavailable
from regista.offline import offline_import
from regista.settings import Settings
from regista.store.export import export_lines
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore
from regista.wire.administration import Imported


@pytest.fixture
def lines(tmp_path: Path) -> BytesIO:
    """An export."""
    with closing(SQLiteLogStore(tmp_path / "source")) as source:
        return exported(filled(source))


def exported(log: LogStore) -> BytesIO:
    return BytesIO("".join(export_lines(log)).encode())


def settings_of(data: Path, kafka: KafkaSettings) -> Settings:
    return Settings(data=data, kafka=kafka.kafka, kafka_prefix=kafka.kafka_prefix)


@pytest.mark.engine("kafka")
async def test_a_log_that_kafka_has_the_beginning_of_does_not_become_another_one(
    tmp_path: Path, kafka_settings: KafkaSettings, lines: BytesIO
) -> None:
    with closing(SQLiteLogStore(tmp_path / "data")) as log:
        async with relaying(log, kafka_settings) as relay:
            await published(relay, 1)
    with pytest.raises(Refused) as refused:
        await in_thread(settings_of(tmp_path / "data", kafka_settings), lines)
    assert (refused.value.code, lines.tell()) == ("log_published", 0)
    assert (await in_thread(settings_of(tmp_path / "new", kafka_settings), lines)).position == 12


@pytest.mark.engine("kafka")
@pytest.mark.parametrize("topics", ["none", "empty", "of the exported log"])
async def test_an_import_goes_where_kafka_has_nothing_of_the_log_that_is_there(
    tmp_path: Path, kafka_settings: KafkaSettings, topics: str
) -> None:
    with closing(SQLiteLogStore(tmp_path / "source")) as source:
        given = exported(filled(source))
        if topics == "empty":
            await create_topics(kafka_settings)
        elif topics != "none":
            async with relaying(source, kafka_settings) as relay:
                await published(relay, 12)
    assert (await in_thread(settings_of(tmp_path / "data", kafka_settings), given)).position == 12


async def in_thread(settings: Settings, lines: BytesIO) -> Imported:
    return await asyncio.to_thread(offline_import, settings, lines, actor="ops")


def test_an_import_that_cannot_ask_kafka_says_how_to_do_without(tmp_path: Path, lines: BytesIO) -> None:
    with pytest.raises(Unavailable) as refused:
        offline_import(Settings(data=tmp_path / "data", kafka="127.0.0.1:1"), lines, actor="ops")
    assert (refused.value.code, lines.tell()) == ("kafka_unavailable", 0)
    assert "REGISTA_KAFKA" in str(refused.value.hint)


@pytest.mark.engine("postgres")
def test_one_of_two_registrars_says_how_to_import_without_them(
    tmp_path: Path, postgres_database: str, lines: BytesIO
) -> None:
    with (
        running_server(tmp_path / "one", database=postgres_database) as server,
        running_server(tmp_path / "two", database=postgres_database),
        server.client() as client,
    ):
        answer = client.post("/v1/admin/import", content=lines.read(), headers={"content-type": "application/x-ndjson"})
        assert (answer.status_code, answer.json()["code"]) == (503, "log_in_use")
        assert "regista import FILE --database" in answer.json()["hint"]
        assert client.post("/v1/models", json={"name": "goes-on"}).status_code == 201
