"""Counts and times every request; a write is counted once more as the command that it is."""

from __future__ import annotations

from http import HTTPStatus
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regista.http.metrics import Metrics

UNMATCHED = "unmatched"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _SAFE | {"POST", "PUT", "PATCH", "DELETE"}
_OUTCOMES = {
    HTTPStatus.OK: "done",
    HTTPStatus.CREATED: "created",
    HTTPStatus.CONFLICT: "refused",
    HTTPStatus.GONE: "retired",
    HTTPStatus.PRECONDITION_FAILED: "precondition_failed",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


class Observation:
    """The outermost layer. It changes nothing."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count when it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = perf_counter()

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            self._count(scope, status, perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = scope.get("route")
        pattern = UNMATCHED if route is None else getattr(route, "path", UNMATCHED)
        self._metrics.request(method, pattern, status, seconds)
        if method not in _SAFE and route is not None and pattern.startswith("/v1/"):
            outcome = _OUTCOMES.get(HTTPStatus(status)) if status else None
            self._metrics.write(str(route.name), outcome or ("failed" if status >= 500 else "invalid"), seconds)
