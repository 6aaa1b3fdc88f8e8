"""The projector: what it does when a view, the log or another projector is not as it should be."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.support.histories import History, wander
from tests.support.projecting import PATIENCE, Projection, memory_feed, running

from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections import runner
from regista.projections.catalogue import Entry
from regista.projections.changes import Change
from regista.projections.database import Overtaken, ViewsDatabase
from regista.projections.decoding import Item
from regista.projections.memory import MemoryFeed
from regista.projections.runner import Projector, ViewState
from regista.projections.views import aliases, models
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS


def random_history(seed: int = 5, steps: int = 120) -> History:
    history = History()
    for _ in wander(history, random.Random(seed), steps):
        pass
    return history


def broken_at(position: int) -> View:
    """The view of aliases with a defect: it cannot apply the event at a position."""

    def fold(items: Sequence[Item]) -> list[Change]:
        if any(item.position == position for item in items):
            raise ValueError("a defect")
        return aliases.fold(items)

    return replace(aliases.VIEW, fold=fold)


def with_aliases(view: View) -> tuple[View, ...]:
    return tuple(view if other.name == "aliases" else other for other in VIEWS)


async def reach(projection: Projection, position: int) -> None:
    others = [view.name for view in VIEWS if view.name != "aliases"]
    assert await projection.projector.wait_for(position, PATIENCE, others)


def state_of(projection: Projection, name: str) -> ViewState:
    return next(view for view in projection.projector.status().views if view.name == name)


async def healthy_digests(history: History, path: Path) -> dict[str, str]:
    async with running(memory_feed(history.sets), path) as projection:
        return await projection.projector.digests()


async def test_a_view_that_cannot_apply_an_event_stops_there_and_serves_while_others_go_on(tmp_path: Path) -> None:
    history = random_history()
    async with running(memory_feed(history.sets[:50]), tmp_path / "views.db"):
        pass
    feed = memory_feed(history.sets)
    async with running(feed, tmp_path / "views.db", with_aliases(broken_at(80)), catch_up=False) as projection:
        await reach(projection, feed.end)
        stopped = state_of(projection, "aliases")
        assert (stopped.state, stopped.position) == ("degraded", 79)
        assert stopped.error is not None
        assert "position 80" in stopped.error
        assert "a defect" in stopped.error
        assert (await projection.client.get("/v1/models/fraud/aliases")).status_code == 200
        assert not await projection.projector.wait_for(feed.end, 0)


async def test_a_degraded_view_goes_on_after_an_upgrade_and_equals_the_others(tmp_path: Path) -> None:
    history = random_history()
    path = tmp_path / "views.db"
    async with running(memory_feed(history.sets[:50]), path):
        pass
    feed = memory_feed(history.sets)
    async with running(feed, path, with_aliases(broken_at(80)), catch_up=False) as projection:
        await reach(projection, feed.end)
    async with running(feed, path) as projection:
        assert state_of(projection, "aliases").state == "live"
        digests = await projection.projector.digests()
    assert digests == await healthy_digests(history, tmp_path / "other.db")


async def test_a_recorded_skip_lets_a_degraded_view_go_on(tmp_path: Path) -> None:
    history = random_history()
    feed = memory_feed(history.sets[:50])
    async with running(feed, tmp_path / "views.db", with_aliases(broken_at(80)), catch_up=False) as projection:
        await projection.caught_up()
        for rows in history.sets[50:]:
            feed.append(*rows)
        await reach(projection, feed.end)
        await projection.projector.skip(80, "a defect of this release")
        await projection.caught_up()
        assert state_of(projection, "aliases").state == "live"


async def test_an_event_that_this_release_does_not_know_stops_every_view_before_it(tmp_path: Path) -> None:
    history = random_history()
    feed = memory_feed(history.sets)
    feed.append(Row(feed.end + 1, "model/new", 1, "regista.model.invented.v9", b"\xc3\x01" + bytes(8) + b"?"))
    async with running(feed, tmp_path / "views.db", catch_up=False) as projection:
        for view in VIEWS:
            assert await projection.projector.wait_for(feed.end - 1, 0.01, [view.name]) in (True, False)
        while any(view.error is None for view in projection.projector.status().views):
            await projection.projector.wait_for(feed.end, 0.01)
        assert {view.position for view in projection.projector.status().views} == {feed.end - 1}


async def test_a_log_that_lost_what_was_folded_is_reported_and_nothing_is_folded_from_it(tmp_path: Path) -> None:
    history, other = random_history(1), random_history(2)
    feed = memory_feed(history.sets)
    async with running(feed, tmp_path / "views.db") as projection:
        before = await projection.projector.digests()
        feed.replace(other.rows)
        while projection.projector.status().error is None:
            await projection.projector.wait_for(10**9, 0.05)
        assert "no longer holds" in str(projection.projector.status().error)
        assert await projection.projector.digests() == before


async def test_views_of_another_log_are_built_anew(tmp_path: Path) -> None:
    first, second = random_history(1), History("log-2")
    second.register_model("other")
    async with running(memory_feed(first.sets), tmp_path / "views.db"):
        pass
    async with running(memory_feed(second.sets, "log-2"), tmp_path / "views.db") as projection:
        names = [item["model"] for item in (await projection.client.get("/v1/models")).json()["items"]]
    assert names == ["other"]


async def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path) -> None:
    history = random_history()
    (tmp_path / "views.db").write_bytes(b"not a database" * 1000)
    async with running(memory_feed(history.sets), tmp_path / "views.db") as projection:
        assert (await projection.client.get("/v1/models/fraud")).status_code == 200


def test_an_offset_that_another_projector_moved_is_not_moved_twice(tmp_path: Path) -> None:
    database = ViewsDatabase(tmp_path / "views.db")
    entry = Entry("models", 1, 1, "live")
    database.create(models.VIEW, entry)
    moved = entry.at(replace(entry.progress, head=replace(entry.progress.head, position=7, count=7)))
    with database.transaction():
        database.advance(entry, moved)
    with pytest.raises(Overtaken), database.transaction():
        database.advance(entry, moved)
    assert database.entries()[0].position == 7
    database.close()


async def test_two_projectors_on_one_database_fold_every_event_once(tmp_path: Path) -> None:
    history = random_history(9, 200)
    feed = MemoryFeed("log-1")
    feed.append(*history.sets[0])
    path = tmp_path / "views.db"
    async with running(feed, path) as one:
        database = ViewsDatabase(path)
        rival = Projector(feed, database)
        task = asyncio.create_task(rival.run())
        for rows in history.sets[1:]:
            feed.append(*rows)
            await asyncio.sleep(0)
        await one.caught_up()
        assert await rival.wait_for(feed.end, PATIENCE)
        digests = await one.projector.digests()
        await rival.close()
        await task
        database.close()
    assert digests == await healthy_digests(history, tmp_path / "alone.db")


async def test_a_new_version_of_a_view_is_built_beside_and_takes_over(tmp_path: Path) -> None:
    history = random_history()
    path = tmp_path / "views.db"
    async with running(memory_feed(history.sets), path) as projection:
        before = await projection.projector.digests()
    upgraded = replace(aliases.VIEW, version=2)
    async with running(memory_feed(history.sets), path, with_aliases(upgraded)) as projection:
        assert state_of(projection, "aliases").version == 2
        assert await projection.projector.digests() == before
        entries = projection.database.entries()
    assert [(e.version, e.state) for e in entries if e.view == "aliases"] == [(2, "live")]


async def test_a_rebuild_never_waits_for_the_next_poll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "POLL", 3600.0)
    async with running(memory_feed(random_history(steps=10).sets), tmp_path / "views.db") as projection:
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                compared = await projection.projector.rebuild()
                assert all(view.equal for view in compared)


async def test_a_rebuild_that_fails_leaves_the_live_views_alone(tmp_path: Path) -> None:
    history = random_history()
    path = tmp_path / "views.db"
    async with running(memory_feed(history.sets), path) as projection:
        before = await projection.projector.digests()
    async with running(memory_feed(history.sets), path, with_aliases(broken_at(30))) as projection:
        with pytest.raises(Damaged) as caught:
            await projection.projector.rebuild()
        assert caught.value.code == "rebuild_failed"
        assert await projection.projector.digests() == before
        assert len(projection.database.entries()) == len(VIEWS)


def _project(path: Path, seed: int, pipe: Connection) -> None:
    """A projector process that says after every batch how far it is."""

    async def main() -> None:
        history = random_history(seed, 400)
        feed = MemoryFeed("log-1")
        database = ViewsDatabase(path)
        projector = Projector(feed, database)
        task = asyncio.create_task(projector.run())
        for rows in history.sets:
            feed.append(*rows)
            if feed.end % 10 == 0 and await projector.wait_for(feed.end, PATIENCE):
                pipe.send(feed.end)
        await task

    asyncio.run(main())


@pytest.mark.parametrize("kill_after", [40, 200, 330])
async def test_kill_9_between_batches_loses_and_doubles_nothing(kill_after: int, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    path = tmp_path / "views.db"
    process = context.Process(target=_project, args=(path, 21, there))
    process.start()
    reported = 0
    while reported < kill_after:
        assert await asyncio.to_thread(here.poll, PATIENCE)
        reported = here.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    process.close()
    here.close()
    there.close()
    history = random_history(21, 400)
    database = ViewsDatabase(path)
    assert {entry.position >= reported for entry in database.entries()} == {True}
    database.close()
    async with running(memory_feed(history.sets), path) as projection:
        digests = await projection.projector.digests()
    assert digests == await healthy_digests(history, tmp_path / "whole.db")
