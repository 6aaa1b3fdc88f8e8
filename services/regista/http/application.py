"""The application: the routes of all parts in one FastAPI, inside the thin stack of layers of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from regista.http.authentication import Authentication
from regista.http.limits import Limits, Upload
from regista.http.metrics import Metrics
from regista.http.observation import Observation
from regista.http.openapi import describe
from regista.http.problems import Problems
from regista.http.reference import reference_routes
from regista.http.switchboard import Switchboard
from regista.settings import Settings


@dataclass(frozen=True, slots=True)
class Shell:
    """What the layers around the routes need to know."""

    settings: Settings
    metrics: Metrics
    version: str
    uploads: Sequence[Upload] = ()


class Api(FastAPI):
    """FastAPI with our layers instead of its own: every error passes through one place, and no body is held."""

    def __init__(self, shell: Shell, routers: Sequence[APIRouter]) -> None:
        super().__init__(
            title="Regista",
            version=shell.version,
            docs_url=None,
            redoc_url=None,
        )
        self.shell = shell
        self._routers = (*routers, reference_routes(self.openapi))
        for router in self._routers:
            # As they are: include_router would have FastAPI derive everything from each route once more.
            self.router.routes.extend(router.routes)

    def build_middleware_stack(self) -> ASGIApp:
        """The layers, from outside in: observation, problems, limits, authentication, switchboard, routes."""
        settings = self.shell.settings
        app: ASGIApp = Switchboard(AsyncExitStackMiddleware(self.router), self._routers)
        app = Authentication(app, token=settings.bearer, trusted_hosts=settings.trusted_hosts)
        app = Limits(app, max_body=settings.max_body, max_head=settings.max_head, uploads=self.shell.uploads)
        return Observation(Problems(app), self.shell.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette's way in. FastAPI's looks at the environment for telemetry that we have elsewhere, every time."""
        await Starlette.__call__(self, scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The document at ``/openapi.json``, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_app(shell: Shell, routers: Sequence[APIRouter]) -> Api:
    """The application of one server. Earlier routers are matched first."""
    return Api(shell, routers)
