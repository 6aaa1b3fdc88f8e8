"""The log store without HTTP: group commit beside bare SQLite in the same run, reads, verify, export and import.

Events are values of 700 bytes, about what a promotion with its reason takes; every commit is synced.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from tests.bench.report import Row
from tests.support.chained_log import Writer
from tests.support.postgres_server import PostgresServer, fresh_database, why_not

from regista.store.append import Append, CommandKey
from regista.store.birth import Importer
from regista.store.export import export_lines, import_lines
from regista.store.group_commit import GroupCommit
from regista.store.log import LogStore
from regista.store.postgres import PostgresLogStore
from regista.store.sqlite import SQLiteLogStore
from regista.store.verify import verify

CALLERS = 32
SECONDS = 3.0
STREAM = 20_000
VALUE = os.urandom(700)


def run() -> list[Row]:
    """All rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        one = _bare(data / "one.db", 1)
        many = _bare(data / "many.db", CALLERS)
        rate, latencies = asyncio.run(_group_commit(SQLiteLogStore(data / "group"), CALLERS))
        alone, _ = asyncio.run(_group_commit(SQLiteLogStore(data / "alone"), 1))
        rows = [
            Row("bare SQLite, one event per commit", one, "events/s"),
            Row(f"bare SQLite, {CALLERS} events per commit", many, "events/s"),
            Row(f"group commit, {CALLERS} callers", rate, "appends/s", ">= 10000"),
            Row("… p50", latencies[len(latencies) // 2] * 1000, "ms"),
            Row("… p99", latencies[int(len(latencies) * 0.99)] * 1000, "ms"),
            Row("… of bare SQLite", rate / many, ""),
            Row("group commit, one caller", alone, "appends/s"),
        ]
        return rows + _postgres() + _reads(data / "reads")


def _postgres() -> list[Row]:
    """Group commit over a server of its own that waits for the disk at each commit; nothing where none is installed."""
    if why_not() is not None:
        return []
    with PostgresServer(durable=True) as server, fresh_database(server.url) as url:
        rate, latencies = asyncio.run(_group_commit(PostgresLogStore(url), CALLERS))
    with PostgresServer(durable=True) as server, fresh_database(server.url) as url:
        alone, _ = asyncio.run(_group_commit(PostgresLogStore(url), 1))
    return [
        Row(f"PostgreSQL, group commit, {CALLERS} callers", rate, "appends/s", ">= 5000"),
        Row("… p50", latencies[len(latencies) // 2] * 1000, "ms"),
        Row("… p99", latencies[int(len(latencies) * 0.99)] * 1000, "ms"),
        Row("PostgreSQL, group commit, one caller", alone, "appends/s"),
    ]


def _bare(path: Path, size: int) -> float:
    """Events per second in commits of this size, with nothing around them: the disk's and SQLite's own speed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, "
            "sequence INTEGER NOT NULL, type TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (stream, sequence))"
        )
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            rows = [(f"model/{n}", count // size, "t", VALUE) for n in range(size)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO events (stream, sequence, type, value) VALUES (?,?,?,?)", rows)
            connection.execute("COMMIT")
            count += size
        return count / (time.perf_counter() - start)


async def _group_commit(store: LogStore, callers: int) -> tuple[float, list[float]]:
    """Appends per second, each caller waiting for its answer; latencies in seconds, sorted. Closes the store."""
    commits = GroupCommit(store)
    stop = time.perf_counter() + SECONDS
    latencies: list[float] = []

    async def forget(_: set[str]) -> None:
        raise AssertionError("nothing conflicts here")

    async def caller(number: int) -> None:
        sequence = 0
        while (start := time.perf_counter()) < stop:
            sequence += 1
            key = CommandKey("bench", str(uuid4()), bytes(32))
            append = Append((StoredEvent(f"model/{number}", sequence, "t", VALUE),), key)
            await commits.submit(lambda append=append: append, forget, key=key)  # type: ignore[misc]  # the default binds it
            latencies.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = time.perf_counter() - start
    await commits.close()
    store.close()
    return len(latencies) / elapsed, sorted(latencies)


def _reads(data: Path) -> list[Row]:
    store = SQLiteLogStore(data)
    writer = Writer(store)
    for _ in range(STREAM // 1000):
        store.append([writer.append("long") for _ in range(1000)])
    loading = _seconds(lambda: sum(1 for _ in store.load("model/long")))
    finding = _seconds(lambda: [store.find_command("ci", f"ci-{n}") for n in range(1, 10_001)])
    checking = _seconds(lambda: verify(store))
    lines: list[str] = []
    exporting = _seconds(lambda: lines.extend(export_lines(store)))
    other = SQLiteLogStore(data.with_name("import"))
    importing = _seconds(lambda: import_lines(other, lines, Importer("bench", "asserted", datetime.now(UTC))))
    store.close()
    other.close()
    return [
        Row("load a stream", STREAM / loading, "events/s"),
        Row("find a command", finding / 10_000 * 1e6, "µs"),
        Row("verify", STREAM / checking, "events/s"),
        Row("export", STREAM / exporting, "events/s"),
        Row("import, everything checked", STREAM / importing, "events/s"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
