"""``/v1/status``, ``/healthz``, ``/readyz``, ``/metrics``: whether it works, and how far it is.

``/healthz``: the process answers. ``/readyz``: writes and fresh reads work, found out by trying: the log takes its
write lock and has room, and the views reach the log's end within two seconds and follow it. Anybody may ask for both,
however often: what was found out is remembered for a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Protocol

from fastapi import APIRouter
from starlette.responses import Response

from regista.domain.errors import Reason, RegistaError, Unavailable
from regista.http.metrics import CONTENT_TYPE, Metrics
from regista.http.openapi import operation_id
from regista.wire.resources import Status, ViewStatus

FRESH_WITHIN = 2.0
"""Seconds that a fresh read may wait for the views, as ``min_position`` does."""
REMEMBERED = 1.0


class Condition(Protocol):
    """How the parts of the registry are."""

    def status(self, writes: str) -> Status:
        """All of it. ``writes`` is ``ok``, or the code of what hinders them. May block."""
        ...

    def views(self) -> Sequence[ViewStatus]:
        """How the views stand."""
        ...

    def hindrances(self) -> Sequence[Reason]:
        """What the other parts of the process say hinders it."""
        ...

    async def check_writes(self) -> None:
        """Try whether the log can be written.

        Raises:
            RegistaError: it cannot.
        """
        ...

    async def check_reads(self, within: float) -> None:
        """Try whether the views reach the present end of the log within so many seconds.

        Raises:
            RegistaError: they do not.
        """
        ...


class Readiness:
    """What hinders writes and fresh reads, found out at most once a second however many ask."""

    def __init__(self, condition: Condition, *, clock: Callable[[], float] = monotonic) -> None:
        self._condition = condition
        self._clock = clock
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._found: tuple[RegistaError | None, list[Reason]] = (None, [])

    async def writes(self) -> str:
        """``ok``, or the code of what hinders writes."""
        hindrance, _ = await self._look()
        return "ok" if hindrance is None else hindrance.code

    async def hindrances(self) -> list[Reason]:
        """Everything that hinders writes or fresh reads."""
        _, reasons = await self._look()
        return reasons

    async def _look(self) -> tuple[RegistaError | None, list[Reason]]:
        async with self._lock:
            if self._clock() >= self._until:
                self._found = await self._try()
                self._until = self._clock() + REMEMBERED
            return self._found

    async def _try(self) -> tuple[RegistaError | None, list[Reason]]:
        writes, reads = await asyncio.gather(
            _error(self._condition.check_writes()), _error(self._condition.check_reads(FRESH_WITHIN))
        )
        # In a thread, for it asks the log how far it is: over a network, or in vain.
        views = await asyncio.to_thread(self._condition.views)
        reasons = [
            Reason(error.code, error.detail, part, error.hint)
            for part, error in (("writes", writes), ("reads", reads))
            if error is not None
        ]
        reasons += [
            Reason("view_" + view.state, view.error or f"the view {view.name} is {view.state}", view.name, view.hint)
            for view in views
            if view.state == "degraded"
        ]
        return writes, [*reasons, *self._condition.hindrances()]


async def _error(check: Awaitable[None]) -> RegistaError | None:
    try:
        await check
    except RegistaError as error:
        return error
    return None


def status_routes(condition: Condition, readiness: Readiness, metrics: Metrics) -> APIRouter:
    """The routes by which machines ask how the registry is."""
    router = APIRouter(tags=["status"], generate_unique_id_function=operation_id)

    @router.get("/v1/status")
    async def get_status() -> Status:
        """The log, its head, the views, and whether writes work."""
        return await asyncio.to_thread(condition.status, await readiness.writes())

    @router.get("/healthz")
    async def get_health() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @router.get("/readyz")
    async def get_readiness() -> dict[str, str]:
        """Writes and fresh reads work; else 503 with every hindrance as a reason."""
        reasons = await readiness.hindrances()
        if reasons:
            raise Unavailable("; ".join(reason.detail for reason in reasons), code="not_ready", reasons=reasons)
        return {"status": "ready"}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def get_metrics() -> Response:
        """For Prometheus."""
        return Response(await asyncio.to_thread(metrics.text), media_type=CONTENT_TYPE)

    return router
