"""Rebuild of the views and their upkeep: events a second, processor time and bytes, beside what no projector can save.

Processor time is what counts on a machine that does other things too. The floor decodes the same events, and inserts
the same rows in the same large transactions, with nothing decided in between.

Alone: ``python -m tests.bench.bench_projection [EVENTS] [--profile]``.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.report import Row as Figure
from tests.bench.report import show
from tests.support.histories import History
from tests.support.postgres_server import PostgresServer, fresh_database, why_not
from tests.support.projecting import Place, open_views

from regista.domain import commands as c
from regista.domain.chain import Row
from regista.projections.catalogue import Entry
from regista.projections.changes import Write
from regista.projections.database import ViewsDatabase
from regista.projections.decoding import decode_rows
from regista.projections.folding import BATCH
from regista.projections.member import CHUNK, SECTION, Member, apply
from regista.projections.memory import MemoryFeed
from regista.projections.runner import Projector
from regista.projections.storage import ViewsStorage
from regista.projections.views.catalogue import VIEWS

EVENTS = 20_000
MODELS = 200
REGISTRATIONS = 4_000
LIVE_BATCH = 100
"""Events in a transaction under load: what comes in while the projector works and rests."""


def life_cycles(events: int) -> History:
    """A life cycle for every version: registered with 1.2 KB of metadata, to staging, to production, alias moved."""
    history = _models()
    seed = 0
    while len(history.rows) < events:
        name = f"model-{seed % MODELS:04}"
        number = history.register(name, seed)
        history.do(c.Promote(name, number, "staging"))
        history.do(c.Promote(name, number, "production"))
        history.do(c.AssignAlias(name, "champion", number))
        seed += 1
    return history


def moves(events: int) -> History:
    """Promotions and aliases of few versions: what a registry sees that has grown up."""
    history = _models()
    versions = [(name, history.register(name, seed)) for seed in (1, 2) for name in _names()]
    stages = ["staging", "production"]
    while len(history.rows) < events:
        for name, number in versions:
            for stage in stages:
                history.do(c.Promote(name, number, stage))
            history.do(c.AssignAlias(name, "champion", number))
        stages = ["candidate", "staging", "production"]  # each was archived when the other took its place
    return history


def _names() -> list[str]:
    return [f"model-{i:04}" for i in range(MODELS)]


def _models() -> History:
    history = History()
    for name in _names():
        history.register_model(name)
    return history


def fold(place: Place, rows: Sequence[Row], batch: int = BATCH) -> tuple[float, float, int]:
    """Fold the rows into every view: seconds, seconds of processor time, bytes written."""
    with closing(open_views(place)) as database:
        members = _created(database)
        written = _written()
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(0, len(rows), batch):
            members = apply(database, members, rows[index : index + batch])
        return time.perf_counter() - wall, time.process_time() - cpu, _written() - written


def _created(database: ViewsStorage) -> list[Member]:
    members = [Member(view, Entry(view.name, view.version, 1, "building")) for view in VIEWS]
    for member in members:
        database.create(member.view, member.entry)
    return members


def _written() -> int:
    """Bytes that this process has had written to a disk so far (Linux)."""
    with Path("/proc/self/io").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


@dataclass(frozen=True)
class Floor:
    """What no projector can save: seconds of processor time to decode the rows, and to insert what the views hold."""

    decode: float
    insert: float


def floor(path: Path, rows: Sequence[Row]) -> Floor:
    """The rows decoded and dropped; and what the views hold of them inserted with ``executemany``, nothing else."""
    start = time.process_time()
    for chunk in _cut(rows, CHUNK):
        decode_rows(chunk, 0)
    decode = time.process_time() - start
    with closing(ViewsDatabase(path)) as database:
        _created(database)
    batches = [list(_inserts(batch)) for batch in _cut(rows, BATCH)]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -64000")
        start = time.process_time()
        for batch in batches:
            connection.execute("BEGIN")
            for text, values in batch:
                connection.executemany(text, values)
            connection.execute("COMMIT")
        return Floor(decode, time.process_time() - start)


def _inserts(rows: Sequence[Row]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    for section in _cut(rows, SECTION):
        items, _ = decode_rows(section, 0)
        for view in VIEWS:
            for change in view.fold(items):
                if isinstance(change, Write) and change.statement.text.startswith("INSERT"):
                    places = f"({', '.join('?' * change.statement.width)})"
                    text = change.statement.text.format(rows=places, **view.names(1))
                    values = [tuple(row) for row in change.rows]
                    # sorted as the projector has it, so that both visit the pages of an index alike
                    yield (
                        text.replace("INSERT INTO", "INSERT OR IGNORE INTO", 1),
                        sorted(values) if change.statement.late else values,
                    )


def _cut(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def rebuild(place: Place, history: History) -> tuple[float, float]:
    """Seconds to catch up from nothing, and to rebuild beside the live views, digests compared."""
    feed = MemoryFeed(history.log_id)
    for rows in history.sets:
        feed.append(*rows)
    database = open_views(place)
    projector = Projector(feed, database)
    start = time.perf_counter()
    task = asyncio.create_task(projector.run())
    assert await projector.wait_for(feed.end, 600)
    first = time.perf_counter() - start
    start = time.perf_counter()
    compared = await projector.rebuild()
    again = time.perf_counter() - start
    assert all(comparison.equal for comparison in compared)
    await projector.close()
    await task
    database.close()
    return first, again


def run(events: int = EVENTS) -> list[Figure]:
    """All rows of this file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *_rebuilt(
                folder, "registered, staging, production, alias (25 % registrations of 1.2 KB)", life_cycles, events
            ),
            *_rebuilt(folder, "promotions and aliases alone", moves, events),
            *_live(folder / "live.db", "SQLite"),
            *_postgres(events),
            Figure("load average, of all that runs on this machine", os.getloadavg()[0], f"of {os.cpu_count()}"),
        ]


def _rebuilt(folder: Path, mix: str, make: Callable[[int], History], events: int) -> list[Figure]:
    history = make(events)
    count = len(history.rows)
    micros = 1e6 / count
    gc.collect()
    gc.freeze()  # as a server does after its start: what is there to stay is not looked at again
    try:
        least = floor(folder / f"{make.__name__}-floor.db", history.rows)
        path = folder / f"{make.__name__}.db"
        _, cpu, _ = fold(path, history.rows)
        first, again = asyncio.run(rebuild(folder / f"{make.__name__}-rebuilt.db", history))
    finally:
        gc.unfreeze()
    return [
        Figure(f"rebuild: {mix}", count / first, "/s", ">= 50000"),
        Figure("… beside the live views, digests compared", count / again, "/s"),
        Figure("… processor time per event", cpu * micros, "µs"),
        Figure("… floor: executemany of the same rows, nothing else", least.insert * micros, "µs"),
        Figure("… floor: decoding the same events", least.decode * micros, "µs"),
        Figure("… both floors' share of it", (least.insert + least.decode) / cpu),
        Figure("… on disk per event", path.stat().st_size / count, "bytes"),
    ]


def _postgres(events: int) -> list[Figure]:
    """The same on a server of this machine that waits for its disk as a real one does."""
    if reason := why_not():
        return [Figure(f"PostgreSQL: {reason}", 0)]
    figures = []
    with PostgresServer(durable=True) as server:
        for make, mix in ((life_cycles, "life cycles"), (moves, "promotions and aliases alone")):
            history = make(events)
            gc.collect()
            gc.freeze()
            try:
                with fresh_database(server.url) as url:
                    first, again = asyncio.run(rebuild(url, history))
            finally:
                gc.unfreeze()
            count = len(history.rows)
            figures += [
                Figure(f"rebuild into PostgreSQL: {mix}", count / first, "/s", ">= 30000"),
                Figure("… beside the live views, digests compared", count / again, "/s"),
            ]
        with fresh_database(server.url) as url:
            figures += _live(url, "PostgreSQL")
    return figures


def _live(place: Place, engine: str) -> list[Figure]:
    history = _models()
    for seed in range(REGISTRATIONS):
        history.register(f"model-{seed % 32:04}", seed)
    wall, cpu, written = fold(place, history.rows, LIVE_BATCH)
    figures = [
        Figure(
            f"live, {engine}: registrations of 1.2 KB, {LIVE_BATCH} a transaction, 32 models",
            REGISTRATIONS / wall,
            "/s",
        ),
        Figure("… processor time of this process per registration", cpu / REGISTRATIONS * 1e6, "µs"),
    ]
    if isinstance(place, Path):  # a server writes by itself
        figures.append(Figure("… written to the disk per registration", written / REGISTRATIONS, "bytes"))
    return figures


def main() -> None:
    """Print the figures, or where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=EVENTS)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if not arguments.profile:
        show("Projections", run(arguments.events))
        return
    rows = life_cycles(arguments.events).rows
    with tempfile.TemporaryDirectory() as folder:
        profile = cProfile.Profile()
        profile.runcall(fold, Path(folder) / "profiled.db", rows)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
