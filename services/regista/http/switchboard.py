"""The short way to routes that take the bare request: one look-up by the parts of the path.

FastAPI tries its routes one after the other and prepares each for dependencies: 60 µs with forty routes, more than the
look-up of a version takes. Its other routes, and everything that is not found here, go its way; so wrong methods and
unknown paths are answered there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class _Direct:
    """A route, its handler, and the names of its parameters in the order of the path."""

    route: APIRoute
    handler: Handler
    parameters: tuple[str, ...]


@dataclass(slots=True)
class _Branch:
    """What may follow at one place of a path: fixed parts before a parameter, and the routes that end here."""

    fixed: dict[str, _Branch] = field(default_factory=dict)
    parameter: _Branch | None = None
    methods: dict[str, _Direct] = field(default_factory=dict)


class Switchboard:
    """The layer before FastAPI's router."""

    def __init__(self, app: ASGIApp, routers: Iterable[APIRouter]) -> None:
        self._app = app
        self._root = _Branch()
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and _is_direct(route):
                    self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the route's handler, or pass on."""
        found = self._find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        direct, values = found
        scope["route"] = direct.route
        scope["path_params"] = dict(zip(direct.parameters, values, strict=True))
        response = await direct.handler(Request(scope, receive, send))
        await response(scope, receive, send)

    def _add(self, route: APIRoute) -> None:
        branch = self._root
        parameters = []
        for part in route.path.split("/"):
            if part.startswith("{"):
                parameters.append(part[1:-1])
                branch.parameter = branch.parameter or _Branch()
                branch = branch.parameter
            else:
                branch = branch.fixed.setdefault(part, _Branch())
        for method in route.methods or ():
            branch.methods.setdefault(method, _Direct(route, route.get_route_handler(), tuple(parameters)))

    def _find(self, method: str, path: str) -> tuple[_Direct, list[str]] | None:
        branch = self._root
        values = []
        for part in path.split("/"):
            following = branch.fixed.get(part)
            if following is None:
                following = branch.parameter
                if following is None or not part:
                    return None
                values.append(part)
            branch = following
        direct = branch.methods.get(method)
        return None if direct is None else (direct, values)


def _is_direct(route: APIRoute) -> bool:
    """Whether a route does without FastAPI's own handling, and has no converters in its path."""
    return type(route).get_route_handler is not APIRoute.get_route_handler and ":" not in route.path
