"""A route that FastAPI documents and keeps out of: its endpoint takes the request and gives the response."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PlainRoute(APIRoute):
    """Matched and answered without anything that FastAPI derives from the declaration: that is for the document alone.

    It is derived when it is first asked for. For all routes it takes longer than everything else that a registry does
    before it works.
    """

    def __init__(self, path: str, endpoint: Handler, **given: Any) -> None:  # noqa: ANN401 - whatever FastAPI takes
        methods = given["methods"]
        # Starlette's own route: what matching needs, and no more.
        Route.__init__(
            self,
            path,
            endpoint,
            methods=methods,
            name=given["name"],
            include_in_schema=given["include_in_schema"],
        )
        self.methods = {method.upper() for method in methods}  # without the HEAD that Starlette adds
        self.response_class = given["response_class"]
        self._given = given

    def get_route_handler(self) -> Handler:
        """The endpoint itself."""
        handler: Handler = self.endpoint
        return handler

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a route
        """What was not derived yet."""
        given = self.__dict__.pop("_given", None)
        if given is None:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        super().__init__(self.path, self.endpoint, **given)
        return getattr(self, name)
