"""One operation of the administration at a time, and nothing is left of one that was refused."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from tests.support.shell_app import client_of

from regista.http.admin import admin_routes, import_upload
from regista.http.application import Api, Shell, create_app
from regista.http.authentication import Principal
from regista.http.metrics import Metrics
from regista.http.progress import Report
from regista.settings import Settings
from regista.wire.administration import Imported, Rebuilt, Skipped, SkipPosition, Verification, ViewDigests
from regista.wire.resources import Head


class Slow:
    """Verifies until it is told to stop; takes what is imported, and remembers the file."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.stop = asyncio.Event()
        self.files: list[IO[bytes]] = []

    async def verify(self, head: str | None, report: Report, *, kafka: bool) -> Verification:
        del head, report, kafka
        self.begun.set()
        await self.stop.wait()
        return Verification(ok=True, log_id="x", head=Head(position=1, count=1, digest=""), problems=[])

    async def rebuild(self, report: Report) -> Rebuilt:
        raise NotImplementedError

    async def digests(self) -> ViewDigests:
        raise NotImplementedError

    async def skip(self, wanted: SkipPosition, by: Principal) -> Skipped:
        raise NotImplementedError

    def export(self) -> Iterator[bytes]:
        raise NotImplementedError

    async def import_(
        self, lines: IO[bytes], by: Principal, reason: str | None, *, copy: bool, report: Report
    ) -> Imported:
        del by, reason, report
        self.files.append(lines)
        return Imported(log_id="x", position=1, events=len(lines.read()), copied=copy)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def app(slow: Slow, tmp_path: Path) -> Api:
    settings = Settings.model_validate({"data": tmp_path})
    shell = Shell(settings, Metrics(), "1", (import_upload(settings.max_upload),))
    return create_app(shell, [admin_routes(slow, tmp_path)])


@pytest.fixture
async def client(app: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def test_an_import_beside_another_operation_is_refused(client: httpx.AsyncClient, slow: Slow) -> None:
    verifying = asyncio.create_task(client.post("/v1/admin/verify"))
    await slow.begun.wait()
    refused = await client.post("/v1/admin/import", content=b"x")
    slow.stop.set()

    assert (refused.status_code, refused.json()["code"]) == (503, "administration_busy")
    assert (await verifying).json()["ok"] is True


async def test_the_file_of_an_import_that_came_too_late_is_closed(client: httpx.AsyncClient, slow: Slow) -> None:
    """The other operation begins while the body is taken in. A file that is left to the collector is a warning here."""
    verifying: list[asyncio.Task[httpx.Response]] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        verifying.append(asyncio.create_task(client.post("/v1/admin/verify")))
        await slow.begun.wait()
        yield b"y"

    refused = await client.post("/v1/admin/import", content=body())
    slow.stop.set()
    await verifying[0]
    gc.collect()

    assert refused.json()["code"] == "administration_busy"
    assert slow.files == []


async def test_the_file_of_an_import_is_closed_with_it(client: httpx.AsyncClient, slow: Slow) -> None:
    answer = await client.post("/v1/admin/import", content=b"abc")

    assert answer.json()["events"] == 3
    assert slow.files[0].closed
