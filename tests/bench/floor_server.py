"""The floor: a bare Starlette application on the same log store, without any of the registry's work.

``POST /append`` appends the body as one event through group commit and answers its position; ``GET /current`` answers a
row of SQLite by its key. What the registry does beyond this is validation, rules, encoding and projections.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import uvicorn
from eventsourcing.persistence import StoredEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regista.store.append import Append, CommandKey
from regista.store.group_commit import GroupCommit
from regista.store.sqlite import SQLiteLogStore


def application(data: Path) -> Starlette:
    """The application, on a fresh data directory."""
    store = SQLiteLogStore(data)
    writer = GroupCommit(store)
    rows = sqlite3.connect(data / "rows.db")
    rows.execute("CREATE TABLE current (model TEXT PRIMARY KEY, answer BLOB)")
    rows.execute("INSERT INTO current VALUES ('fraud', ?)", (b'{"model":"fraud","version":"1.0.0"}' + b" " * 300,))
    rows.commit()

    async def append(request: Request) -> Response:
        value = await request.body()
        key = CommandKey("floor", str(uuid4()), bytes(32))
        row = StoredEvent(f"model/{key.command_id}", 1, "regista.floor.v1", value)
        committed = await writer.submit(lambda: Append((row,), key), _nothing, key=key)
        return Response(b'{"position":%d}' % committed.position, 201, media_type="application/json")

    async def current(_: Request) -> Response:
        [answer] = rows.execute("SELECT answer FROM current WHERE model = ?", ("fraud",)).fetchone()
        return Response(answer, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await writer.close()
        store.close()

    routes = [Route("/append", append, methods=["POST"]), Route("/current", current)]
    return Starlette(routes=routes, lifespan=lifespan)


async def _nothing(_: set[str]) -> None:
    return None


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    app = application(options.data)
    uvicorn.run(app, port=options.port, loop="uvloop", http="httptools", log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
