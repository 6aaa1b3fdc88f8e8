"""Administration of a running registry: verify, rebuild, digests, skip, export, import.

Verifying and rebuilding change nothing that anybody sees meanwhile. One of the long operations runs at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Protocol

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from regista.domain.errors import Unavailable
from regista.http.authentication import Principal
from regista.http.limits import Upload
from regista.http.progress import NDJSON, Operation, Report, answer
from regista.wire.administration import Imported, Rebuilt, Skipped, SkipPosition, Verification, ViewDigests

IMPORT_PATH = "/v1/admin/import"
_SPOOL = 4 * 2**20
"""Bytes gathered before they are written to the spooled file."""
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON Lines: a header, one line per event, a footer with count and digest.",
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}
_LINES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_REPORTING: dict[int | str, dict[str, Any]] = {
    200: {"description": "Done. With `Accept: application/x-ndjson`: lines of progress, and then the result."}
}


class Administrator(Protocol):
    """What can be done to the log and the views as a whole."""

    async def verify(self, head: str | None, report: Report, *, kafka: bool) -> Verification:
        """Read every event and check every hash, against a remembered head and against Kafka where that is wanted."""
        ...

    async def rebuild(self, report: Report) -> Rebuilt:
        """Fold the views anew beside the live ones, and take their place."""
        ...

    async def digests(self) -> ViewDigests:
        """The digests of the views."""
        ...

    async def skip(self, wanted: SkipPosition, by: Principal) -> Skipped:
        """Let views pass over an event of the log that they cannot apply."""
        ...

    def export(self) -> Iterator[bytes]:
        """The log as lines. Blocks."""
        ...

    async def import_(
        self, lines: IO[bytes], by: Principal, reason: str | None, *, copy: bool, report: Report
    ) -> Imported:
        """Become the exported log, or a copy of it."""
        ...


def import_upload(limit: int) -> Upload:
    """The import as an exception from the rule that bodies are small JSON."""
    return Upload("POST", IMPORT_PATH, limit)


class _OneAtATime:
    def __init__(self) -> None:
        self._running: str | None = None

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        self.check()
        self._running = name
        try:
            yield
        finally:
            self._running = None

    def check(self) -> None:
        """Raise ``Unavailable`` (``administration_busy``) while one runs."""
        if self._running is not None:
            raise Unavailable(f"{self._running} is running", code="administration_busy", retry_after=10.0)


def admin_routes(administrator: Administrator, spool: Path) -> APIRouter:
    """The routes of the administration. An import is spooled into the folder ``spool`` before it is read."""
    router = APIRouter(prefix="/v1/admin", tags=["administration"])
    alone = _OneAtATime()

    def guarded(name: str, operation: Operation) -> Operation:
        async def run(report: Report) -> BaseModel:
            async with alone(name):
                return await operation(report)

        return run

    @router.post("/verify", response_model=Verification, responses=_REPORTING)
    async def verify_log(
        request: Request,
        head: Annotated[str | None, Query(description="`POSITION:HASH`, remembered from an earlier answer.")] = None,
        kafka: Annotated[bool, Query(description="Compare with the topic as well, record by record.")] = False,
    ) -> Response:
        """Check every stored event: edited, removed, inserted or swapped ones are found and named."""
        operation = partial(administrator.verify, head, kafka=kafka)
        return await answer(request, guarded("a verification", operation))

    @router.post("/rebuild", response_model=Rebuilt, responses=_REPORTING)
    async def rebuild_views(request: Request) -> Response:
        """Fold all views anew from the first event. Reads go on from the old ones until the new ones are complete."""
        return await answer(request, guarded("a rebuild", administrator.rebuild))

    @router.get("/digests")
    async def get_digests() -> ViewDigests:
        """A digest over the content of every view: equal before and after a rebuild, and on every copy of the log."""
        return await administrator.digests()

    @router.post("/skip")
    async def skip_position(request: Request, wanted: SkipPosition) -> Skipped:
        """Let views pass over an event that they cannot apply: they then answer as if it had not been.

        The skip is kept, with who and why; it holds for this version of the view, so that an upgrade may apply the event.
        """
        return await administrator.skip(wanted, request.state.principal)

    @router.get("/export", response_class=StreamingResponse, responses=_EXPORTED)
    async def export_log() -> Response:
        """The whole log, with the very bytes of its events."""
        return StreamingResponse(iterate_in_threadpool(administrator.export()), media_type=NDJSON)

    @router.post("/import", response_model=Imported, openapi_extra=_LINES, responses=_REPORTING)
    async def import_log(
        request: Request,
        copy: Annotated[bool, Query(description="Go on as a log of its own, with a new id.")] = False,
        reason: Annotated[str | None, Query(max_length=4096, description="Why; a copy says so in its log.")] = None,
    ) -> Response:
        """Take over an exported log: same positions, same hashes. Only into a registry without events of its own."""
        alone.check()  # before gigabytes are taken in; another may still begin while they are
        file = await _spooled(request, spool)

        async def operation(report: Report) -> BaseModel:
            with file:
                async with alone("an import"):
                    return await administrator.import_(file, request.state.principal, reason, copy=copy, report=report)

        return await answer(request, operation)

    return router


async def _spooled(request: Request, folder: Path) -> IO[bytes]:
    """The body in a file without a name that anybody else uses; gone when it is closed."""
    with ExitStack() as stack:
        file = stack.enter_context(TemporaryFile(dir=folder, prefix="import-"))
        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= _SPOOL:
                await asyncio.to_thread(file.write, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(file.write, bytes(gathered))
        file.seek(0)
        stack.pop_all()
        return file
