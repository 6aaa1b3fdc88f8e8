"""Several projectors on one database: one makes progress, the others stand by, and no late word of one gone counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.histories import History
from tests.support.projecting import PATIENCE, Place, Places, memory_feed, open_views, running
from tests.support.projector_child import Child, history_of

from regista.projections import leadership
from regista.projections.feed import Feed
from regista.projections.member import Member, apply
from regista.projections.runner import Projector
from regista.projections.storage import Overtaken
from regista.projections.views.catalogue import VIEWS

SEED, STEPS = 8, 200


@asynccontextmanager
async def projecting(feed: Feed, path: Place) -> AsyncIterator[Projector]:
    database = open_views(path)
    projector = Projector(feed, database)
    task = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        await projector.close()
        await task
        database.close()


async def until_leading(projector: Projector) -> None:
    async with asyncio.timeout(PATIENCE):
        while not projector.is_leading:
            await projector.wait_for(10**9, 0.01)


async def healthy_digests(history: History, path: Place) -> dict[str, str]:
    async with running(memory_feed(history.sets), path) as projection:
        return await projection.projector.digests()


async def test_of_two_projectors_one_makes_progress_and_the_other_answers_for_the_same_positions(
    places: Places,
) -> None:
    history = history_of(SEED, STEPS)
    feed, path = memory_feed(history.sets[:1]), places()
    async with projecting(feed, path) as one:
        await until_leading(one)
        async with projecting(feed, path) as other:
            for rows in history.sets[1:]:
                feed.append(*rows)
            assert await other.wait_for(feed.end, PATIENCE)
            assert (one.is_leading, other.is_leading) == (True, False)
            assert other.status().head == one.status().head
            assert await other.digests() == await healthy_digests(history, places("alone"))


async def test_one_that_leaves_in_order_is_succeeded_at_once(places: Places) -> None:
    feed, path = memory_feed(history_of(SEED, 20).sets), places()
    async with projecting(feed, path) as one:
        await until_leading(one)
        async with projecting(feed, path) as other:
            await one.close()
            async with asyncio.timeout(3):
                await until_leading(other)


async def test_what_a_standby_is_asked_is_done_by_the_one_who_projects(places: Places) -> None:
    feed, path = memory_feed(history_of(SEED, 20).sets), places()
    async with projecting(feed, path) as one:
        await until_leading(one)
        async with projecting(feed, path) as other:
            assert await other.wait_for(feed.end, PATIENCE)
            assert all(view.equal for view in await other.rebuild())
            [skip] = await other.skip(3, "a defect of this release", "aliases", actor="ann")
            assert one.status().skips == (skip,)


async def test_the_place_of_one_that_was_killed_is_taken_within_moments(places: Places) -> None:
    history, path = history_of(SEED, STEPS), places()
    with Child(path, seed=SEED, steps=STEPS) as child:
        assert (await child.said())["leading"]
        async with projecting(memory_feed(history.sets), path) as standby:
            assert not standby.is_leading
            child.kill()
            async with asyncio.timeout(3):
                await until_leading(standby)
            assert await standby.wait_for(history.rows[-1].position, PATIENCE)
            digests = await standby.digests()
    assert digests == await healthy_digests(history, places("alone"))


async def test_what_a_projector_wrote_late_after_it_was_stopped_does_not_count(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "STALE", 0.5)
    history, path = history_of(SEED, STEPS), places()
    with Child(path, seed=SEED, steps=STEPS, stop_at=60) as stopped:
        assert (await stopped.said())["leading"]
        await stopped.is_stopped()
        async with projecting(memory_feed(history.sets), path) as successor:
            await until_leading(successor)
            assert await successor.wait_for(history.rows[-1].position, PATIENCE)
            before = await successor.digests()
            stopped.go_on()
            assert not (await stopped.said())["leading"]
            assert successor.is_leading
            assert await successor.digests() == before
            assert successor.status().head.position == history.rows[-1].position
    assert before == await healthy_digests(history, places("alone"))


async def test_a_batch_that_another_has_written_is_refused_whole(places: Places) -> None:
    history, path = history_of(SEED, STEPS), places()
    async with running(memory_feed(history.sets[:20]), path) as projection:
        stale = projection.entries()
    views = {view.name: view for view in VIEWS}
    position = stale[0].position
    rows = [row for row in history.rows if row.position > position][:10]
    async with running(memory_feed(history.sets), path) as projection:
        before = await projection.projector.digests()
        late = open_views(path)
        with pytest.raises(Overtaken):
            apply(late, [Member(views[entry.view], entry) for entry in stale], rows)
        late.close()
        assert await projection.projector.digests() == before
