"""Long operations over HTTP: one JSON answer, or lines that say how far it is.

With ``Accept: application/x-ndjson`` the answer begins at once: lines ``{"progress": {"done", "total"}}`` about once a
second, at last ``{"result": …}``, or ``{"problem": …}`` when it failed on the way. No proxy or client then takes a
working server for a dead one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from regista.http.problems import problem
from regista.wire.administration import Progress

NDJSON = "application/x-ndjson"
INTERVAL = 1.0
"""Seconds between two lines."""
Report: TypeAlias = Callable[[int, int], None]
"""Told how many of how many events are done, from any thread."""
Operation: TypeAlias = Callable[[Report], Awaitable[BaseModel]]


class _Counter:
    """The newest report. Assigning a tuple is atomic, so threads may report without a lock."""

    def __init__(self) -> None:
        self.now = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        self.now = (done, total)


async def answer(request: Request, operation: Operation) -> Response:
    """Run an operation and answer in the form that was asked for. It runs to its end even when the client goes."""
    counter = _Counter()
    task = asyncio.ensure_future(operation(counter))
    if NDJSON not in request.headers.get("accept", ""):
        result = await asyncio.shield(task)
        return Response(result.model_dump_json(), media_type="application/json")
    return StreamingResponse(_lines(task, counter, request.url.path), media_type=NDJSON)


async def _lines(task: asyncio.Future[BaseModel], counter: _Counter, path: str) -> AsyncIterator[bytes]:
    while not task.done():
        await asyncio.wait((task,), timeout=INTERVAL)
        done, total = counter.now
        yield _line("progress", Progress(done=done, total=total).model_dump_json().encode())
    error = task.exception()
    if error is None:
        yield _line("result", task.result().model_dump_json().encode())
    elif isinstance(error, Exception):
        yield _line("problem", bytes(problem(error, path).body))


def _line(name: str, value: bytes) -> bytes:
    return orjson.dumps({name: orjson.Fragment(value)}, option=orjson.OPT_APPEND_NEWLINE)
