"""A projector over a log in memory, and the query API in front of it, as one process runs them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import httpx
import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from regista.domain.chain import Row
from regista.domain.errors import RegistaError
from regista.projections.api.queries import Queries
from regista.projections.api.routes import query_routes
from regista.projections.catalogue import Entry
from regista.projections.changes import Change
from regista.projections.database import ViewsDatabase
from regista.projections.decoding import Item
from regista.projections.memory import MemoryFeed
from regista.projections.postgres import PostgresViewsDatabase
from regista.projections.runner import Projector
from regista.projections.storage import ViewsStorage
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS

PATIENCE = 20.0
Place: TypeAlias = Path | str
"""Where views lie: a file of SQLite, or the URL of a database in PostgreSQL."""


class Places(Protocol):
    """Gives places for views, on the engine that the test runs on."""

    def __call__(self, name: str = "views") -> Place: ...


def open_views(place: Place) -> ViewsStorage:
    """The views that lie there."""
    return ViewsDatabase(place) if isinstance(place, Path) else PostgresViewsDatabase(place)


@dataclass(frozen=True, slots=True)
class Served:
    """A projector at work, its views, and the query API in front of them."""

    database: ViewsStorage
    projector: Projector
    client: httpx.AsyncClient

    def entries(self) -> list[Entry]:
        """All generations of all views, over a connection of its own: the projector's belongs to its thread."""
        with closing(self.database.reader()) as reader:
            return reader.entries()


@dataclass(frozen=True, slots=True)
class Projection(Served):
    feed: MemoryFeed

    async def caught_up(self) -> None:
        assert await self.projector.wait_for(self.feed.end, PATIENCE), self.projector.status()

    async def append(self, sets: Sequence[Sequence[Row]]) -> None:
        for rows in sets:
            self.feed.append(*rows)
        await self.caught_up()


def memory_feed(sets: Sequence[Sequence[Row]], log_id: str = "log-1") -> MemoryFeed:
    feed = MemoryFeed(log_id)
    for rows in sets:
        feed.append(*rows)
    return feed


def application(queries: Queries) -> FastAPI:
    app = FastAPI()
    app.include_router(query_routes(queries))

    @app.exception_handler(RegistaError)
    async def _answer(_: Request, error: RegistaError) -> Response:
        reasons = [reason.detail for reason in error.reasons]
        body = {"code": error.code, "detail": error.detail, "hint": error.hint, "reasons": reasons}
        return JSONResponse(body, error.status)

    return app


def defective(view: View, position: int, *, in_the_end: bool = False) -> View:
    """The view with a defect: it cannot apply the event at a position, which it may say in the end of a fold only."""

    class Defective:
        def __init__(self) -> None:
            self._fold = view.begin()
            self._met = False

        def add(self, items: Sequence[Item]) -> None:
            self._met = self._met or any(item.position == position for item in items)
            if self._met and not in_the_end:
                raise ValueError("a defect")
            self._fold.add(items)

        def changes(self) -> list[Change]:
            if self._met:
                raise ValueError("a defect")
            return self._fold.changes()

    return replace(view, begin=Defective)


def administer(place: Place, statement: str) -> None:
    """Do something to the tables that no projector would."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as file:
            file.execute(statement)
        return
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("SET search_path = regista_views")
        connection.execute(statement.encode())


def folded_at(place: Place, sets: Sequence[Sequence[Row]]) -> Place:
    """The place, with views of these events; for tests that only read them."""

    async def fold() -> None:
        async with running(memory_feed(sets), place):
            pass

    asyncio.run(fold())
    return place


@asynccontextmanager
async def running(
    feed: MemoryFeed, place: Place, views: Sequence[View] = VIEWS, *, catch_up: bool = True
) -> AsyncIterator[Projection]:
    database = open_views(place)
    projector = Projector(feed, database, views)
    queries = Queries(database, projector, lambda: feed.end)
    task = asyncio.create_task(projector.run())
    transport = httpx.ASGITransport(app=application(queries))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
            projection = Projection(database, projector, client, feed)
            if catch_up:
                await projection.caught_up()
            yield projection
    finally:
        await projector.close()
        await task
        queries.close()
        database.close()
