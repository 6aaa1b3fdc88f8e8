"""The projector's side of the requests that others put into the views database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from time import monotonic
from typing import Any

from regista.domain.errors import Internal, RegistaError
from regista.projections.projection import Projection
from regista.projections.requests import Blocking, Json, Request, Requests, left_behind

REPORT = 0.25
"""Seconds between two reports of how far it is."""


class Answering:
    """Carries out requests, each in a task of its own. Belongs to one event loop."""

    def __init__(self, requests: Requests, projection: Projection, blocking: Blocking) -> None:
        self._requests = requests
        self._projection = projection
        self._blocking = blocking
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Take up what was asked since the last look."""
        for request in await self._blocking(self._requests.take):
            task = asyncio.create_task(self._answer(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Carry out nothing more; whoever asked is told to ask again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _answer(self, request: Request) -> None:
        try:
            result = await self._carry_out(request)
        except asyncio.CancelledError:
            await self._refuse(request, left_behind())
        except RegistaError as error:
            await self._refuse(request, error)
        except Exception as error:  # noqa: BLE001 - whoever asked is told of the defect, the projector goes on
            await self._refuse(request, Internal(f"{type(error).__name__}: {error}"))
        else:
            await self._blocking(lambda: self._requests.answer(request, result))

    async def _refuse(self, request: Request, error: RegistaError) -> None:
        await self._blocking(lambda: self._requests.refuse(request, error))

    async def _carry_out(self, request: Request) -> Json:
        if request.is_left:
            raise left_behind()
        match request.kind:
            case "rebuild":
                progress = _Progress(self._requests, request, self._blocking)
                return [asdict(compared) for compared in await self._projection.rebuild(progress.report)]
            case "skip":
                return await self._skip(request.body)
            case unknown:
                raise Internal(
                    f"this projector does not know the request {unknown}",
                    code="unknown_request",
                    hint="Run the same release everywhere.",
                )

    async def _skip(self, body: Mapping[str, Any]) -> Json:
        skips = await self._projection.skip(body["position"], body["reason"], body["view"], actor=body["actor"])
        return [asdict(skip) for skip in skips]


class _Progress:
    """Reports of one request: now and then, never two at once."""

    def __init__(self, requests: Requests, request: Request, blocking: Blocking) -> None:
        self._requests = requests
        self._request = request
        self._blocking = blocking
        self._last = 0.0
        self._writing: asyncio.Task[None] | None = None

    def report(self, position: int, goal: int) -> None:
        """Tell how far it is, unless that was told a moment ago."""
        if monotonic() - self._last < REPORT or (self._writing is not None and not self._writing.done()):
            return
        self._last = monotonic()
        self._writing = asyncio.create_task(self._write(position, goal))

    async def _write(self, position: int, goal: int) -> None:
        await self._blocking(lambda: self._requests.report(self._request, position, goal))
