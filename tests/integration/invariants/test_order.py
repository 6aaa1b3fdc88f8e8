"""Invariant 3: positions strictly increase over the log, sequences are contiguous from 1; time orders nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tests.support.registrar import ANN, NothingStored, registration, running

from regista.domain import commands as c
from regista.registrar.artifacts import Artifacts
from regista.registrar.request import Request
from regista.registrar.service import Registrar
from regista.registrar.snapshots import Snapshots
from regista.store.mapper import AvroMapper


async def test_concurrent_writes_to_many_models_keep_both_orders(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        models = [f"model-{n}" for n in range(5)]
        await asyncio.gather(*(one.do(c.RegisterModel(model)) for model in models))
        await asyncio.gather(*(one.do(registration(model, n)) for n in range(20) for model in models))
        rows = one.log.read(1, 1000)
        assert all(before.position < after.position for before, after in pairwise(rows))
        for model in models:
            own = [row.sequence for row in rows if row.stream == f"model/{model}"]
            assert own == list(range(1, 22))


async def test_a_clock_that_runs_backwards_changes_no_order(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        start = datetime(2026, 5, 4, tzinfo=UTC)
        ticks = iter(start - timedelta(hours=n) for n in range(100))
        snapshots = Snapshots(tmp_path / "snapshots.db")
        late = Registrar(
            one.log,
            one.writer,
            Artifacts(NothingStored()),
            snapshots,
            committed=lambda _: None,
            clock=lambda: next(ticks),
        )
        for name in ("a", "b", "c"):
            await late.execute(Request(c.RegisterModel(name), ANN, "why"))
        rows = [row for row in one.log.read(1, 100) if row.stream.startswith("model/")]
        assert [row.stream for row in rows] == ["model/a", "model/b", "model/c"]
        times = [AvroMapper().from_row(row).meta.time for row in rows]
        assert times == sorted(times, reverse=True)
        snapshots.close()
