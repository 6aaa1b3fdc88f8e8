"""The short way to routes that take the bare request: one look-up by the parts of the path.

FastAPI tries its routes one after the other and prepares each for dependencies: 60 µs with forty routes, more than the
look-up of a version takes. Its other routes, and everything that is not found here, go its way; so wrong methods and
unknown paths are answered there.

Whatever answers GET answers HEAD alike, without the body (RFC 9110, 9.1 and 9.3.2), but for streams, which have no
length to tell and would be read in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        self._routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
        for route in self._routes:
            if _is_direct(route):
                self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the route's handler, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD" and self._is_get(scope):
            asked = {**scope, "method": "GET"}
            try:
                await self._serve(asked, receive, _without_body(send))
            finally:
                scope["route"] = asked.get("route")
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope["method"], scope["path"])
        if found is None:
            try:
                await self._app(scope, receive, send)
            except HTTPException as error:
                if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                    error.headers = {"Allow": ", ".join(sorted(self._allowed(scope)))}
                raise
            return
        direct, values = found
        scope["route"] = direct.route
        scope["path_params"] = dict(zip(direct.parameters, values, strict=True))
        response = await direct.handler(Request(scope, receive, send))
        await response(scope, receive, send)

    def _is_get(self, scope: Scope) -> bool:
        """Whether HEAD of this path is answered by what answers GET."""
        if self._find("GET", scope["path"]) is not None:
            return True
        matching = self._matching(scope)
        return not any("HEAD" in methods for _, methods in matching) and any(_has_head(route) for route, _ in matching)

    def _allowed(self, scope: Scope) -> set[str]:
        """Every method that this path takes; the router names those of one route."""
        matching = self._matching(scope)
        heads = {"HEAD"} if any(_has_head(route) for route, _ in matching) else set()
        return heads.union(*(methods for _, methods in matching))

    def _matching(self, scope: Scope) -> list[tuple[APIRoute, set[str]]]:
        """The routes of a path, whatever their method, with their methods."""
        return [(route, route.methods or set()) for route in self._routes if route.matches(scope)[0] is not Match.NONE]

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


def _has_head(route: APIRoute) -> bool:
    """Whether a route answers GET with something whose end is known."""
    answer = route.response_class
    return "GET" in (route.methods or ()) and not (isinstance(answer, type) and issubclass(answer, StreamingResponse))


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        if message["type"] == "http.response.body":
            if message.get("more_body", False):
                return
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return head


def _is_direct(route: APIRoute) -> bool:
    """Whether a route does without FastAPI's own handling, and has no converters in its path."""
    return type(route).get_route_handler is not APIRoute.get_route_handler and ":" not in route.path
