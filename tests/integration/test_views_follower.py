"""Queries in one process, the projector in another: how far the views are, and what is asked of who folds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.histories import History
from tests.support.projecting import PATIENCE, Place, Places, memory_feed, running

from regista.domain.errors import Refused, Unavailable
from regista.projections.desk import ViewsFile
from regista.projections.follower import ViewsFollower
from regista.projections.postgres import PostgresViewsDatabase


def history(versions: int = 5) -> History:
    made = History()
    made.register_model("fraud")
    for seed in range(versions):
        made.register("fraud", seed)
    return made


@asynccontextmanager
async def following(place: Place) -> AsyncIterator[ViewsFollower]:
    follower = ViewsFollower(ViewsFile(place) if isinstance(place, Path) else PostgresViewsDatabase(place))
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        await follower.close()
        await task


async def test_what_another_folds_is_visible_within_moments(places: Places) -> None:
    made = history(40)
    feed = memory_feed(made.sets[:1])
    async with running(feed, places()), following(places()) as follower:
        assert await follower.wait_for(feed.end, PATIENCE)
        took = []
        for rows in made.sets[1:]:
            began = asyncio.get_running_loop().time()
            feed.append(*rows)
            assert await follower.wait_for(feed.end, PATIENCE)
            took.append(asyncio.get_running_loop().time() - began)
        assert sorted(took)[len(took) // 2] < 0.1
        assert follower.status().head.position == feed.end
        assert follower.status().error is None


async def test_a_position_that_is_not_folded_is_not_reached(places: Places) -> None:
    feed = memory_feed(history().sets)
    async with running(feed, places()), following(places()) as follower:
        assert await follower.wait_for(feed.end, PATIENCE)
        assert not await follower.wait_for(feed.end + 1, 0.05)


async def test_a_follower_may_be_there_before_the_views(places: Places) -> None:
    feed = memory_feed(history().sets)
    async with following(places()) as follower:
        assert not await follower.wait_for(1, 0.05)
        async with asyncio.timeout(PATIENCE):
            while "no projector" not in str(follower.status().error):
                await follower.wait_for(1, 0.01)
        assert "regista project" in (follower.status().hint or "")
        async with running(feed, places()):
            assert await follower.wait_for(feed.end, PATIENCE)


async def test_a_rebuild_may_be_asked_for_from_another_process(places: Places) -> None:
    feed = memory_feed(history().sets)
    async with running(feed, places()) as projection, following(places()) as follower:
        assert await follower.wait_for(feed.end, PATIENCE)
        compared = await follower.rebuild()
        assert compared
        assert all(view.equal for view in compared)
        assert await follower.digests() == await projection.projector.digests()
        assert {entry.generation for entry in projection.entries()} == {2}


async def test_what_the_projector_refuses_is_refused_to_whoever_asked(places: Places) -> None:
    feed = memory_feed(history().sets)
    async with running(feed, places()), following(places()) as follower:
        assert await follower.wait_for(feed.end, PATIENCE)
        with pytest.raises(Refused) as refused:
            await follower.skip(3, "a slip of the hand", actor="ann")
        assert refused.value.code == "nothing_to_skip"
        [skip] = await follower.skip(3, "a defect of this release", "aliases", actor="ann")
        assert (skip.view, skip.position, skip.actor) == ("aliases", 3, "ann")


async def test_without_a_projector_reads_go_on_and_a_rebuild_says_what_to_do(places: Places) -> None:
    feed = memory_feed(history().sets)
    async with running(feed, places()):
        pass
    async with following(places()) as follower:
        assert await follower.wait_for(feed.end, PATIENCE)
        with pytest.raises(Unavailable) as nobody:
            await follower.rebuild()
        assert nobody.value.code == "no_projector"
        assert "regista project" in str(nobody.value.hint)
