"""The shell around a few routes that misbehave on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from regista.artifacts.ranges import RangeUnsatisfiable
from regista.domain.errors import Damaged, NotFound, Reason, Refused, Unavailable
from regista.http.application import Api, Shell, create_app
from regista.http.limits import Upload
from regista.http.metrics import Metrics
from regista.settings import Settings
from regista.wire.requests import RegisterVersion

SECRET = "correct-horse-battery-staple"


def routes() -> APIRouter:
    router = APIRouter(tags=["tests"])

    @router.post("/v1/models/{model}/versions", status_code=201)
    async def register_version(model: str, body: RegisterVersion) -> dict[str, str]:
        return {"model": model, "version": body.version}

    @router.get("/v1/whoami")
    async def whoami(request: Request, limit: int = 1) -> dict[str, str]:
        principal = request.state.principal
        return {"actor": principal.actor, "identity": principal.identity, "limit": str(limit)}

    @router.post("/v1/artifacts")
    async def upload(request: Request) -> dict[str, int]:
        return {"size": sum([len(chunk) async for chunk in request.stream()])}

    @router.get("/v1/raise/{what}")
    async def fail(what: str) -> Response:
        raise ERRORS[what]

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    return router


ERRORS: dict[str, Exception] = {
    "refused": Refused(
        "no", hint="do this", reasons=[Reason("a", "first", "x"), Reason("b", "second", None, "way out")]
    ),
    "unavailable": Unavailable("later", code="log_full", retry_after=2.2),
    "damaged": Damaged("row 7 is not what was written"),
    "defect": RuntimeError("the password is hunter2"),
    "range": RangeUnsatisfiable(50_000),
    "disconnect": ClientDisconnect(),
    "surrogate": NotFound("no model \ud800"),
}


def api(**given: object) -> Api:
    settings = Settings.model_validate({"data": "/nowhere", **given})
    uploads = (Upload("POST", "/v1/artifacts", settings.max_upload),)
    return create_app(Shell(settings, Metrics(), "1.2.3", uploads), [routes()])


@asynccontextmanager
async def client_of(app: Api, base_url: str = "http://127.0.0.1:8080") -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as client:
        yield client
