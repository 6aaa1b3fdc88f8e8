"""Rebuild of the views: events a second, by type of event, with what it costs beside the fold.

Run by ``make bench``; alone: ``python tests/bench/bench_projection.py [EVENTS] [--profile]``.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.histories import History

from regista.domain import commands as c
from regista.domain.chain import Row
from regista.projections.catalogue import Entry
from regista.projections.database import ViewsDatabase
from regista.projections.decoding import decode_rows
from regista.projections.member import Member, apply
from regista.projections.memory import MemoryFeed
from regista.projections.runner import Projector
from regista.projections.views.catalogue import VIEWS

MODELS = 200


def mixed(events: int) -> History:
    """A life cycle for every version: registered, to staging, to production, alias moved."""
    history = History()
    names = [f"model-{i:04}" for i in range(MODELS)]
    for name in names:
        history.register_model(name)
    seed = 0
    while len(history.rows) < events:
        name = names[seed % MODELS]
        number = history.register(name, seed)
        history.do(c.Promote(name, number, "staging"))
        history.do(c.Promote(name, number, "production"))
        history.do(c.AssignAlias(name, "champion", number))
        seed += 1
    return history


def fold(path: Path, rows: Sequence[Row], batch: int = 10_000, *, ahead: bool = False) -> float:
    """Seconds to fold the rows into every view, in this thread, or in two."""
    database = ViewsDatabase(path)
    members = []
    for view in VIEWS:
        entry = Entry(view.name, view.version, 1, "building")
        database.create(view, entry)
        members.append(Member(view, entry))
    start = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        for index in range(0, len(rows), batch):
            members = apply(database, members, rows[index : index + batch], pool if ahead else None)
    seconds = time.perf_counter() - start
    database.close()
    return seconds


async def rebuild(path: Path, history: History) -> tuple[float, float]:
    """Seconds to catch up from nothing, and to rebuild beside the live views, digests compared."""
    feed = MemoryFeed(history.log_id)
    for rows in history.sets:
        feed.append(*rows)
    database = ViewsDatabase(path)
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


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=40_000)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    history = mixed(arguments.events)
    rows = history.rows
    gc.collect()
    gc.freeze()  # as a server does after its start: what is there to stay is not looked at again
    print(
        f"{len(rows)} events, {sum(len(r.value) for r in rows) / len(rows):.0f} bytes on average, {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        for index in range(0, len(rows), 500):
            decode_rows(rows[index : index + 500], 0)
        print(f"decode alone            {len(rows) / (time.perf_counter() - start):10,.0f} events/s")
        if arguments.profile:
            profile = cProfile.Profile()
            profile.runcall(fold, Path(folder) / "profiled.db", rows)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        seconds = fold(Path(folder) / "fold.db", rows)
        print(f"fold, one thread        {len(rows) / seconds:10,.0f} events/s")
        seconds = fold(Path(folder) / "ahead.db", rows, ahead=True)
        print(f"fold, decoding ahead    {len(rows) / seconds:10,.0f} events/s")
        print(f"bytes per event on disk {(Path(folder) / 'fold.db').stat().st_size / len(rows):10,.0f}")
        first, again = asyncio.run(rebuild(Path(folder) / "rebuild.db", history))
        print(f"projector from nothing  {len(rows) / first:10,.0f} events/s")
        print(f"rebuild beside live     {len(rows) / again:10,.0f} events/s (digests compared)")


if __name__ == "__main__":
    main()
