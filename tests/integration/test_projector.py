"""The projector: what it does when a view, the log or another projector is not as it should be."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sqlite3
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.support.histories import History, wander
from tests.support.projecting import (
    PATIENCE,
    Place,
    Places,
    Projection,
    administer,
    defective,
    memory_feed,
    open_views,
    running,
)

from regista.domain.chain import Row
from regista.domain.errors import Damaged, NotFound, Refused
from regista.projections import runner
from regista.projections.catalogue import Entry
from regista.projections.database import ViewsDatabase
from regista.projections.feed import Batch, Mark
from regista.projections.generations import ViewState
from regista.projections.memory import MemoryFeed
from regista.projections.runner import Projector
from regista.projections.storage import Overtaken
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
    return defective(aliases.VIEW, position)


def with_aliases(view: View) -> tuple[View, ...]:
    return tuple(view if other.name == "aliases" else other for other in VIEWS)


async def reach(projection: Projection, position: int) -> None:
    others = [view.name for view in VIEWS if view.name != "aliases"]
    assert await projection.projector.wait_for(position, PATIENCE, others)


async def stopped_before(projection: Projection, position: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while state_of(projection, "aliases").stands_before != position:
            await projection.projector.wait_for(10**9, 0.01)


def state_of(projection: Projection, name: str) -> ViewState:
    return next(view for view in projection.projector.status().views if view.name == name)


async def healthy_digests(history: History, place: Place) -> dict[str, str]:
    async with running(memory_feed(history.sets), place) as projection:
        return await projection.projector.digests()


@pytest.mark.parametrize("in_the_end", [False, True], ids=["when-met", "in-the-end"])
async def test_a_view_that_cannot_apply_an_event_stops_there_and_serves_while_others_go_on(
    in_the_end: bool, places: Places
) -> None:
    history = random_history()
    async with running(memory_feed(history.sets[:50]), places()):
        pass
    feed = memory_feed(history.sets)
    defect = with_aliases(defective(aliases.VIEW, 80, in_the_end=in_the_end))
    async with running(feed, places(), defect, catch_up=False) as projection:
        await reach(projection, feed.end)
        stopped = state_of(projection, "aliases")
        assert (stopped.state, stopped.position) == ("degraded", 79)
        assert stopped.error is not None
        assert "position 80" in stopped.error
        assert "a defect" in stopped.error
        assert (await projection.client.get("/v1/models/fraud/aliases")).status_code == 200
        assert not await projection.projector.wait_for(feed.end, 0)


async def test_a_degraded_view_goes_on_after_an_upgrade_and_equals_the_others(places: Places) -> None:
    history = random_history()
    path = places()
    async with running(memory_feed(history.sets[:50]), path):
        pass
    feed = memory_feed(history.sets)
    async with running(feed, path, with_aliases(broken_at(80)), catch_up=False) as projection:
        await reach(projection, feed.end)
    async with running(feed, path) as projection:
        assert state_of(projection, "aliases").state == "live"
        digests = await projection.projector.digests()
    assert digests == await healthy_digests(history, places("other"))


async def test_a_recorded_skip_lets_a_degraded_view_go_on(places: Places) -> None:
    history = random_history()
    feed = memory_feed(history.sets[:50])
    async with running(feed, places(), with_aliases(broken_at(80)), catch_up=False) as projection:
        await projection.caught_up()
        for rows in history.sets[50:]:
            feed.append(*rows)
        await reach(projection, feed.end)
        [skip] = await projection.projector.skip(80, "a defect of this release", actor="ann")
        await projection.caught_up()
        assert state_of(projection, "aliases").state == "live"
    assert (skip.view, skip.position, skip.reason, skip.actor) == ("aliases", 80, "a defect of this release", "ann")


async def test_a_skip_outlives_the_views(tmp_path: Path) -> None:
    history = random_history()
    path, defect = tmp_path / "views.db", with_aliases(broken_at(80))
    async with running(memory_feed(history.sets[:50]), path, defect) as projection:
        await projection.projector.skip(80, "a defect of this release", "aliases", actor="ann")
    path.unlink()
    async with running(memory_feed(history.sets), path, defect) as projection:
        assert state_of(projection, "aliases").state == "live"
        assert [skip.position for skip in projection.database.recorded_skips()] == [80]


async def test_a_skip_is_of_one_log_and_one_version_of_a_view(places: Places) -> None:
    history = random_history()
    path, defect = places(), broken_at(80)
    async with running(memory_feed(history.sets), path) as projection:
        await projection.projector.skip(80, "a defect of this release", "aliases", actor="ann")
    for log_id, view in (("log-1", replace(defect, version=2)), ("log-2", defect)):
        feed = memory_feed(history.sets, log_id)
        async with running(feed, path, with_aliases(view), catch_up=False) as projection:
            await stopped_before(projection, 80)


async def test_only_views_that_stand_still_there_pass_over_a_position_unless_named(places: Places) -> None:
    feed = memory_feed(random_history().sets)
    async with running(feed, places(), with_aliases(broken_at(80)), catch_up=False) as projection:
        await stopped_before(projection, 80)
        with pytest.raises(Refused) as refused:
            await projection.projector.skip(81, "a slip of the hand", actor="ann")
        assert refused.value.code == "nothing_to_skip"
        assert "aliases before position 80" in str(refused.value.hint)
        with pytest.raises(NotFound) as unknown:
            await projection.projector.skip(80, "a slip of the hand", "alias", actor="ann")
        assert unknown.value.code == "unknown_view"
        assert projection.database.recorded_skips() == ()


async def test_a_file_that_cannot_be_opened_now_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "views.db"
    async with running(memory_feed(random_history(steps=10).sets), path):
        pass
    before = path.read_bytes()
    (tmp_path / "views.db-wal").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        ViewsDatabase(path)
    assert path.read_bytes() == before


async def test_a_file_of_another_format_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "views.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE about (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)")
    other.execute("INSERT INTO about VALUES ('format', 'another')")
    other.commit()
    other.close()
    async with running(memory_feed(random_history().sets), path) as projection:
        assert (await projection.client.get("/v1/models/fraud")).status_code == 200


async def test_an_event_that_this_release_does_not_know_stops_every_view_before_it(places: Places) -> None:
    history = random_history()
    feed = memory_feed(history.sets)
    feed.append(Row(feed.end + 1, "model/new", 1, "regista.model.invented.v9", b"\xc3\x01" + bytes(8) + b"?"))
    async with running(feed, places(), catch_up=False) as projection:
        for view in VIEWS:
            assert await projection.projector.wait_for(feed.end - 1, 0.01, [view.name]) in (True, False)
        while any(view.error is None for view in projection.projector.status().views):
            await projection.projector.wait_for(feed.end, 0.01)
        assert {view.position for view in projection.projector.status().views} == {feed.end - 1}


async def test_a_log_that_lost_what_was_folded_is_reported_and_nothing_is_folded_from_it(places: Places) -> None:
    history, other = random_history(1), random_history(2)
    feed = memory_feed(history.sets)
    async with running(feed, places()) as projection:
        before = await projection.projector.digests()
        feed.replace(other.rows)
        while projection.projector.status().error is None:
            await projection.projector.wait_for(10**9, 0.05)
        assert "no longer holds" in str(projection.projector.status().error)
        assert await projection.projector.digests() == before


class Faulty(MemoryFeed):
    """A feed with a defect, until it is mended."""

    mended = False

    async def read(self, after: Mark, limit: int) -> Batch:
        if not self.mended:
            raise KeyError("a defect")
        return await super().read(after, limit)


async def test_a_defect_is_reported_and_does_not_end_the_projector(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BACK_OFF", 0.01)
    feed = Faulty("log-1")
    for rows in random_history(steps=10).sets:
        feed.append(*rows)
    async with running(feed, places(), catch_up=False) as projection:
        async with asyncio.timeout(PATIENCE):
            while projection.projector.status().error is None:
                await projection.projector.wait_for(feed.end, 0.01)
        assert "a defect" in str(projection.projector.status().error)
        feed.mended = True
        await projection.caught_up()
        assert projection.projector.status().error is None


async def test_views_of_another_log_are_built_anew(places: Places) -> None:
    first, second = random_history(1), History("log-2")
    second.register_model("other")
    async with running(memory_feed(first.sets), places()):
        pass
    async with running(memory_feed(second.sets, "log-2"), places()) as projection:
        names = [item["model"] for item in (await projection.client.get("/v1/models")).json()["items"]]
    assert names == ["other"]


async def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path) -> None:
    history = random_history()
    (tmp_path / "views.db").write_bytes(b"not a database" * 1000)
    async with running(memory_feed(history.sets), tmp_path / "views.db") as projection:
        assert (await projection.client.get("/v1/models/fraud")).status_code == 200


def test_an_offset_that_another_projector_moved_is_not_moved_twice(places: Places) -> None:
    database = open_views(places())
    entry = Entry("models", 1, 1, "live")
    database.create(models.VIEW, entry)
    moved = entry.at(replace(entry.progress, head=replace(entry.progress.head, position=7, count=7)))
    with database.transaction():
        database.advance(entry, moved)
    with pytest.raises(Overtaken), database.transaction():
        database.advance(entry, moved)
    assert database.entries()[0].position == 7
    database.close()


async def test_two_projectors_on_one_database_fold_every_event_once(places: Places) -> None:
    history = random_history(9, 200)
    feed = MemoryFeed("log-1")
    feed.append(*history.sets[0])
    path = places()
    async with running(feed, path) as one:
        database = open_views(path)
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
    assert digests == await healthy_digests(history, places("alone"))


async def test_a_new_version_of_a_view_is_built_beside_and_takes_over(places: Places) -> None:
    history = random_history()
    path = places()
    async with running(memory_feed(history.sets), path) as projection:
        before = await projection.projector.digests()
    upgraded = replace(aliases.VIEW, version=2)
    async with running(memory_feed(history.sets), path, with_aliases(upgraded)) as projection:
        assert state_of(projection, "aliases").version == 2
        assert await projection.projector.digests() == before
        entries = projection.entries()
    assert [(e.version, e.state) for e in entries if e.view == "aliases"] == [(2, "live")]


async def test_a_rebuild_never_waits_for_the_next_poll(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "POLL", 3600.0)
    async with running(memory_feed(random_history(steps=10).sets), places()) as projection:
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                compared = await projection.projector.rebuild()
                assert all(view.equal for view in compared)


async def test_a_rebuild_that_fails_leaves_the_live_views_alone(places: Places) -> None:
    history = random_history()
    path = places()
    async with running(memory_feed(history.sets), path) as projection:
        before = await projection.projector.digests()
    async with running(memory_feed(history.sets), path, with_aliases(broken_at(30))) as projection:
        with pytest.raises(Damaged) as caught:
            await projection.projector.rebuild()
        assert caught.value.code == "rebuild_failed"
        assert await projection.projector.digests() == before
        assert len(projection.entries()) == len(VIEWS)


async def test_a_rebuild_goes_on_once_a_position_is_skipped_for_it(places: Places) -> None:
    path = places()
    history = random_history()
    async with running(memory_feed(history.sets), path):
        pass
    async with running(memory_feed(history.sets), path, with_aliases(broken_at(30))) as projection:
        with pytest.raises(Damaged) as caught:
            await projection.projector.rebuild()
        assert "regista skip 30 --view aliases" in str(caught.value.hint)
        await projection.projector.skip(30, "a defect of this release", "aliases", actor="ann")
        assert len(await projection.projector.rebuild()) == len(VIEWS)


async def test_a_rebuild_that_cannot_be_compared_is_given_up(places: Places) -> None:
    history = random_history()
    path = places()
    feed = memory_feed(history.sets[:-1])
    async with running(feed, path) as projection:
        administer(path, "DROP TABLE evaluations_v1_g1")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Damaged) as caught:
                await projection.projector.rebuild()
        assert caught.value.code == "rebuild_failed"
        assert not projection.projector.status().rebuilding
        assert len(projection.entries()) == len(VIEWS)
        feed.append(*history.sets[-1])
        assert await projection.projector.wait_for(feed.end, PATIENCE, ["models"])


def _project(place: Place, seed: int, pipe: Connection) -> None:
    """A projector process that says after every batch how far it is."""

    async def main() -> None:
        history = random_history(seed, 400)
        feed = MemoryFeed("log-1")
        database = open_views(place)
        projector = Projector(feed, database)
        task = asyncio.create_task(projector.run())
        for rows in history.sets:
            feed.append(*rows)
            if feed.end % 10 == 0 and await projector.wait_for(feed.end, PATIENCE):
                pipe.send(feed.end)
        await task

    asyncio.run(main())


@pytest.mark.parametrize("kill_after", [40, 200, 330])
async def test_kill_9_between_batches_loses_and_doubles_nothing(kill_after: int, places: Places) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    path = places()
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
    database = open_views(path)
    assert {entry.position >= reported for entry in database.entries()} == {True}
    database.close()
    async with running(memory_feed(history.sets), path) as projection:
        digests = await projection.projector.digests()
    assert digests == await healthy_digests(history, places("whole"))
