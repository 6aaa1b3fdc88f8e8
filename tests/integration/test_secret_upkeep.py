"""Secrets that count no more are erased, though nobody did it when it happened; the others are not."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.registrar import Running, running
from tests.support.server import application, client_of

from regista.domain.errors import Unavailable
from regista.domain.events import SecretRef
from regista.domain.secrets import GivenSecret
from regista.domain.target.commands import PutTarget, RemoveTarget
from regista.processes import secret_upkeep
from regista.processes.secret_upkeep import SecretUpkeep
from regista.store.sqlite.private import PRIVATE_FILE, SQLitePrivateTable

DAY = timedelta(days=1)


def upkeep(one: Running, table: SQLitePrivateTable, later: timedelta = timedelta(0)) -> SecretUpkeep:
    return SecretUpkeep(one.log, table, older_than=DAY, clock=lambda: datetime.now(UTC) + later)


def ids(table: SQLitePrivateTable) -> list[str]:
    return [entry.id for entry in table.entries()]


async def put(one: Running, table: SQLitePrivateTable, id_: str, target: str = "edge", **more: datetime) -> None:
    table.put(id_, f"target/{target}", "token", "s3cr3t")
    secret = SecretRef("token", id_, f"sha256:{id_}", **more)
    await one.do(PutTarget(target, "http", secrets=(GivenSecret("token", secret.fingerprint),)), kept={"token": secret})


async def test_what_was_displaced_or_removed_is_erased_and_what_counts_stays(tmp_path: Path) -> None:
    table = SQLitePrivateTable(tmp_path / PRIVATE_FILE)
    async with running(tmp_path) as one:
        for id_ in ("1", "2"):
            await put(one, table, id_)
        await put(one, table, "3", "gone")
        await one.do(RemoveTarget("gone"))
        assert upkeep(one, table).collect() == 2
        assert ids(table) == ["2"]
        assert upkeep(one, table, 100 * DAY).collect() == 0


async def test_what_no_event_names_is_left_until_it_is_old(tmp_path: Path) -> None:
    table = SQLitePrivateTable(tmp_path / PRIVATE_FILE)
    async with running(tmp_path) as one:
        table.put("1", "target/edge", "token", "on its way")
        table.put("2", "something/else", "token", "of nobody")
        assert upkeep(one, table, DAY / 2).collect() == 0
        assert upkeep(one, table, 2 * DAY).collect() == 2


async def test_a_secret_whose_time_is_up_is_erased(tmp_path: Path) -> None:
    table = SQLitePrivateTable(tmp_path / PRIVATE_FILE)
    async with running(tmp_path) as one:
        await put(one, table, "1", expires_at=datetime.now(UTC) + DAY)
        assert upkeep(one, table).collect() == 0
        assert upkeep(one, table, 2 * DAY).collect() == 1


async def test_a_registry_looks_when_it_starts(tmp_path: Path) -> None:
    table = SQLitePrivateTable(tmp_path / PRIVATE_FILE)
    async with running(tmp_path) as one:
        for id_ in ("1", "2"):
            await put(one, table, id_)
    async with application(tmp_path) as registry, client_of(registry) as client, asyncio.timeout(20):
        while ids(table) != ["2"]:
            await client.get("/healthz")


async def test_what_cannot_be_read_now_is_looked_at_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = SQLitePrivateTable(tmp_path / PRIVATE_FILE)
    monkeypatch.setattr(secret_upkeep, "COLLECT_EVERY", 0.01)
    caplog.set_level(logging.WARNING)
    leaving = asyncio.Event()
    async with running(tmp_path) as one:
        some = upkeep(one, table)
        calls: list[int] = []

        def collect() -> int:
            calls.append(1)
            if len(calls) == 1:
                raise Unavailable("not now")
            leaving.set()
            return 0

        monkeypatch.setattr(some, "collect", collect)
        async with asyncio.timeout(20):
            await some.run(leaving)
    assert len(calls) == 2
    assert "not erased" in caplog.text
