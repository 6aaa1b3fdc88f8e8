"""The application: the routes of all parts in one FastAPI, inside the thin stack of layers of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp

from regista.http.authentication import Authentication
from regista.http.limits import Limits, Upload
from regista.http.metrics import Metrics
from regista.http.observation import Observation
from regista.http.openapi import describe, operation_id
from regista.http.problems import Problems
from regista.http.reference import reference_routes
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

    def __init__(self, shell: Shell) -> None:
        super().__init__(
            title="Regista",
            version=shell.version,
            docs_url=None,
            redoc_url=None,
            generate_unique_id_function=operation_id,
        )
        self._shell = shell

    def build_middleware_stack(self) -> ASGIApp:
        """The layers, from outside in: observation, problems, limits, authentication, routes."""
        settings = self._shell.settings
        token = settings.token.get_secret_value() if settings.token is not None else None
        app: ASGIApp = AsyncExitStackMiddleware(self.router)
        app = Authentication(app, token=token, trusted_hosts=settings.trusted_hosts)
        app = Limits(app, max_body=settings.max_body, max_head=settings.max_head, uploads=self._shell.uploads)
        return Observation(Problems(app), self._shell.metrics)

    def openapi(self) -> dict[str, Any]:
        """The document at ``/openapi.json``, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_app(shell: Shell, routers: Sequence[APIRouter]) -> Api:
    """The application of one server. Earlier routers are matched first."""
    app = Api(shell)
    for router in routers:
        app.include_router(router)
    app.include_router(reference_routes(app.openapi))
    return app
