"""Views that know more than the log: it was healed from a shorter copy, or restored to an earlier day."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.support.histories import History, wander
from tests.support.projecting import PATIENCE, Projection, memory_feed, running

from regista.domain.chain import Row
from regista.domain.errors import Unavailable
from regista.projections import folding, runner
from regista.projections.feed import Batch, Mark
from regista.projections.memory import MemoryFeed


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SETTLED", 0.3)
    monkeypatch.setattr(runner, "BACK_OFF", 0.05)


def random_history(steps: int = 100) -> History:
    history = History()
    for _ in wander(history, random.Random(3), steps):
        pass
    return history


async def healthy_digests(rows: list[Row], path: Path) -> dict[str, str]:
    async with running(memory_feed([[row] for row in rows]), path) as projection:
        return await projection.projector.digests()


async def rebuilt(projection: Projection) -> None:
    async with asyncio.timeout(PATIENCE):
        while {entry.generation for entry in projection.entries()} != {2}:
            await projection.projector.wait_for(10**9, 0.01)


async def test_views_ahead_of_the_log_are_built_anew_and_serve_meanwhile_degraded(tmp_path: Path) -> None:
    history = random_history()
    async with running(memory_feed(history.sets), tmp_path / "views.db"):
        pass
    shorter = MemoryFeed("log-1")
    shorter.replace(history.rows[:60])
    states = set()
    async with running(shorter, tmp_path / "views.db", catch_up=False) as projection:
        async with asyncio.timeout(PATIENCE):
            while {entry.generation for entry in projection.entries()} != {2}:
                states |= {view.state for view in projection.projector.status().views}
                assert (await projection.client.get("/v1/models/fraud")).status_code == 200
                await projection.projector.wait_for(10**9, 0.005)
        digests = await projection.projector.digests()
        views = projection.projector.status().views
    assert digests == await healthy_digests(history.rows[:60], tmp_path / "other.db")
    assert "degraded" in states
    assert {(view.state, view.position, view.error) for view in views} == {("live", 60, None)}


async def test_views_of_a_healed_log_that_goes_on_behind_a_gap_are_built_anew_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "SETTLED", 3600.0)
    history = random_history()
    async with running(memory_feed(history.sets), tmp_path / "views.db"):
        pass
    healed = MemoryFeed("log-1")
    kept = history.rows[:60]
    behind = history.rows[60:64]
    moved = [Row(row.position + 1_000_000, row.stream, row.sequence, row.type, row.value) for row in behind]
    healed.replace([*kept, *moved])
    async with running(healed, tmp_path / "views.db", catch_up=False) as projection:
        await rebuilt(projection)
        digests = await projection.projector.digests()
    assert digests == await healthy_digests([*kept, *moved], tmp_path / "other.db")


async def test_views_wait_for_a_log_that_is_still_being_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SETTLED", 1.5)
    history = random_history()
    async with running(memory_feed(history.sets), tmp_path / "views.db"):
        pass
    filling = MemoryFeed("log-1")
    filling.replace(history.rows[:1])
    async with running(filling, tmp_path / "views.db", catch_up=False) as projection:
        for end in range(2, len(history.rows) + 1):
            filling.replace(history.rows[:end])
            await projection.projector.wait_for(10**9, 0.02)
        history.register_model("after")
        filling.replace(history.rows)
        await projection.caught_up()
        await said(projection, None)
        assert {entry.generation for entry in projection.entries()} == {1}


async def said(projection: Projection, part: str | None) -> None:
    """Return when the projector says this of itself, or None of an error: a moment after its views have moved."""

    def is_said() -> bool:
        error = projection.projector.status().error
        return error is None if part is None else part in (error or "")

    async with asyncio.timeout(20):
        while not is_said():
            await projection.projector.wait_for(10**9, 0.01)


class Away(MemoryFeed):
    """A log that cannot be read."""

    async def read(self, after: Mark, limit: int) -> Batch:  # noqa: ARG002 - the port's signature
        raise Unavailable("the log is away", code="log_away")


async def test_views_stay_as_they_are_while_the_log_cannot_be_read(tmp_path: Path) -> None:
    history = random_history()
    async with running(memory_feed(history.sets), tmp_path / "views.db"):
        pass
    away = Away("log-1")
    away.replace(history.rows[:10])
    async with running(away, tmp_path / "views.db", catch_up=False) as projection:
        await said(projection, "the log is away")
        assert {(e.generation, e.state) for e in projection.entries()} == {(1, "live")}
        assert await projection.projector.wait_for(history.rows[-1].position, 0)


async def test_where_another_event_is_in_the_place_of_the_last_nothing_is_folded_until_a_rebuild_is_asked_for(
    tmp_path: Path,
) -> None:
    history = random_history()
    async with running(memory_feed(history.sets), tmp_path / "views.db"):
        pass
    forked = MemoryFeed("log-1")
    last = history.rows[-1]
    forked.replace([*history.rows[:-2], Row(last.position, "model/other", 1, last.type, last.value)])
    async with running(forked, tmp_path / "views.db", catch_up=False) as projection:
        await said(projection, "is another one")
        assert {entry.generation for entry in projection.entries()} == {1}
        compared = await projection.projector.rebuild()
        assert {view.before for view in compared} == {None}
        assert projection.projector.status().error is None
        assert {entry.generation for entry in projection.entries()} == {2}


async def test_a_rebuild_of_views_that_are_ahead_survives_a_restart(tmp_path: Path) -> None:
    history = random_history()
    async with running(memory_feed(history.sets), tmp_path / "views.db"):
        pass
    shorter = MemoryFeed("log-1")
    shorter.replace(history.rows[:60])
    for _ in range(3):
        async with running(shorter, tmp_path / "views.db", catch_up=False) as projection:
            await projection.projector.wait_for(10**9, 0.35)
    async with running(shorter, tmp_path / "views.db", catch_up=False) as projection:
        await rebuilt(projection)
        assert {entry.position for entry in projection.entries()} == {60}
