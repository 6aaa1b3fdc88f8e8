"""The store under a relay that runs in a process of its own falls back to an older copy: it halts, though nobody writes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from tests.support.chained_log import Writer, filled
from tests.support.server import RunningServer, running_server

from regista.bus.settings import KafkaSettings
from regista.store.postgres import PostgresLogStore
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore

pytestmark = pytest.mark.engine("kafka")
PATIENCE = 40.0


def by_rename(data: Path, old: Path) -> None:
    """As a tool that restores a backup does it: the copy is written beside, and takes the name."""
    for behind in ("-wal", "-shm"):
        (data / f"log.db{behind}").unlink(missing_ok=True)
    shutil.copy(old, data / "log.db.restored")
    (data / "log.db.restored").rename(data / "log.db")


def in_place(data: Path, old: Path) -> None:
    """The copy is written over the file, as the database itself does it."""
    with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(data / "log.db")) as target:
        source.backup(target)


def relay(server: RunningServer) -> dict[str, Any]:
    with server.client() as client:
        found: dict[str, Any] = client.get("/v1/status").json()["components"]["relay"]
        return found


def relayed(server: RunningServer, position: int) -> None:
    wait(lambda: relay(server)["position"] == position, lambda: relay(server))


def wait(condition: Callable[[], bool], shown: Callable[[], object]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, shown()


def halts(server: RunningServer) -> None:
    wait(lambda: relay(server)["state"] == "halted", lambda: relay(server))
    assert relay(server)["code"] == "log_diverged"
    with server.client() as client:
        wait(lambda: client.get("/readyz").status_code == 503, lambda: client.get("/readyz").text)
        assert "regista heal" in client.get("/readyz").text


@pytest.fixture
def kafka(kafka_settings: KafkaSettings) -> dict[str, Any]:
    return {"kafka": kafka_settings.kafka, "kafka_prefix": kafka_settings.kafka_prefix}


@pytest.mark.parametrize("swap", [by_rename, in_place])
def test_a_file_that_falls_back_under_a_relay_process_halts_it(
    tmp_path: Path, kafka: dict[str, Any], swap: Callable[[Path, Path], None]
) -> None:
    data = tmp_path / "data"
    with closing(SQLiteLogStore(data)) as log:
        filled(log)
    shutil.copy(data / "log.db", tmp_path / "old.db")
    with closing(SQLiteLogStore(data)) as log:
        Writer(log, "later").write("d")
    with running_server(data, "relay", **kafka) as server:
        relayed(server, 13)
        swap(data, tmp_path / "old.db")
        halts(server)


def test_who_only_reads_a_log_reads_the_file_that_took_its_place(tmp_path: Path) -> None:
    with closing(SQLiteLogStore(tmp_path)) as log:
        filled(log)
    path = tmp_path / "log.db"
    shutil.copy(path, tmp_path / "old.db")
    with closing(SQLiteLogStore(tmp_path)) as log:
        Writer(log, "later").write("d")
    with closing(SQLiteLogReader(path)) as reader:
        assert reader.max_position() == 13
        by_rename(tmp_path, tmp_path / "old.db")
        assert (reader.max_position(), reader.row(13)) == (12, None)


@pytest.mark.engine("postgres")
def test_a_database_that_falls_back_under_a_relay_process_halts_it(
    tmp_path: Path, kafka: dict[str, Any], postgres_database: str
) -> None:
    with closing(PostgresLogStore(postgres_database)) as log:
        filled(log)
    with running_server(tmp_path, "relay", database=postgres_database, **kafka) as server:
        relayed(server, 12)
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute("DELETE FROM regista.commands WHERE position = 12")
            connection.execute("DELETE FROM regista.events WHERE position = 12")
        halts(server)
