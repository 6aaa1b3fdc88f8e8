"""The HTTP of a model server: ``POST /predict``, ``GET /model``, ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regista.domain.errors import Invalid, RegistaError, TooLarge
from regista.serving.loading import Loaded

MAX_BODY = 16 << 20
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass
class Served:
    """What the server runs: ``loaded`` once it is there, ``failure`` when it cannot be."""

    digest: str
    variant: str
    loaded: Loaded | None = None
    failure: RegistaError | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class _Named:
    """Names the variant on every answer."""

    def __init__(self, app: ASGIApp, variant: str) -> None:
        self._app = app
        self._header = (b"regista-variant", variant.encode("latin-1", "replace"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        await self._app(scope, receive, named)


def application(served: Served) -> Starlette:
    """The routes of one model."""
    return Starlette(routes=_Routes(served).all(), middleware=[Middleware(_Named, served.variant)])


class _Routes:
    def __init__(self, served: Served) -> None:
        self._served = served
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "regista_model_requests_total", "Predictions by their status.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "regista_model_predict_seconds", "Duration of predictions.", buckets=_BOUNDS, registry=self._registry
        )
        Gauge("regista_model_ready", "1 when the model is loaded.", registry=self._registry).set_function(
            lambda: float(served.loaded is not None)
        )

    def all(self) -> list[Route]:
        return [
            Route("/predict", self._counted(self.predict), methods=["POST"]),
            Route("/model", self.model),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
        ]

    async def predict(self, request: Request) -> Response:
        """``{"inputs": …}`` to ``{"outputs": …}``."""
        if self._served.loaded is None:
            return self._not_ready()
        body = await _read(request)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Invalid(f"the body is not JSON: {error}", code="bad_inputs") from error
        if not isinstance(document, dict) or "inputs" not in document:
            raise Invalid('the body is no object with "inputs"', code="bad_inputs", hint='{"inputs": [[1.0, 2.0]]}')
        outputs = await asyncio.to_thread(self._served.loaded.model.predict, document["inputs"])
        answer = {"outputs": outputs, "artifact_digest": self._served.digest, "variant": self._served.variant}
        return _json(answer)

    async def model(self, _request: Request) -> Response:
        """What it runs."""
        loaded = self._served.loaded
        return _json(
            {
                "artifact_digest": self._served.digest,
                "variant": self._served.variant,
                "format": loaded.format if loaded else None,
                "ready": loaded is not None,
            }
        )

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return _json({"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        """The model is loaded."""
        return _json({"status": "ready"}) if self._served.loaded else self._not_ready()

    async def metrics(self, _request: Request) -> Response:
        """In Prometheus' format."""
        return Response(generate_latest(self._registry), media_type="text/plain; version=0.0.4")

    def _not_ready(self) -> Response:
        failure = self._served.failure
        if failure is None:
            return _json({"code": "loading", "detail": "the model is being loaded"}, 503)
        return _json({"code": failure.code, "detail": failure.detail, "hint": failure.hint}, 503)

    def _counted(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def counted(request: Request) -> Response:
            began = perf_counter()
            try:
                response = await handler(request)
            except RegistaError as error:
                response = _json({"code": error.code, "detail": error.detail, "hint": error.hint}, error.status)
            self._seconds.observe(perf_counter() - began)
            self._requests.labels(str(response.status_code)).inc()
            return response

        return counted


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(f"the body is over {MAX_BODY} bytes", code="too_large")
    return bytes(body)


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
