"""A projector over the events topic and the query API in front of it, and another process's views followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.support.histories import History
from tests.support.projecting import PATIENCE, Place, Served, application, memory_feed, open_views, running

from regista.bus.events.feed import KafkaFeed
from regista.bus.settings import KafkaSettings
from regista.projections.api.queries import Queries
from regista.projections.desk import ViewsFile
from regista.projections.feed import Feed
from regista.projections.follower import ViewsFollower
from regista.projections.runner import Projector
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS


@dataclass(frozen=True, slots=True)
class KafkaProjection(Served):
    async def reached(self, position: int) -> None:
        assert await self.projector.wait_for(position, PATIENCE), self.projector.status()


@asynccontextmanager
async def projecting_kafka(
    settings: KafkaSettings, place: Place, views: Sequence[View] = VIEWS, *, feed: Feed | None = None
) -> AsyncIterator[KafkaProjection]:
    kafka = KafkaFeed(settings)
    database = open_views(place)
    projector = Projector(feed or kafka, database, views)
    queries = Queries(database, projector, lambda: 10**9)
    task = asyncio.create_task(projector.run())
    transport = httpx.ASGITransport(app=application(queries))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
            yield KafkaProjection(database, projector, client)
    finally:
        await projector.close()
        await task
        await kafka.close()
        queries.close()
        database.close()


@asynccontextmanager
async def following(place: Place) -> AsyncIterator[ViewsFollower]:
    with closing(ViewsFile(place) if isinstance(place, Path) else open_views(place)) as views:
        follower = ViewsFollower(views)
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            await follower.close()
            await task


async def folded_alone(history: History, place: Place) -> dict[str, str]:
    """The digests of the views of a history, folded from memory by a projector alone."""
    async with running(memory_feed(history.sets), place) as projection:
        return await projection.projector.digests()
