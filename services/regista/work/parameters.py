"""Parameters of the routes that answer from the work database: what is not known is refused, never passed over."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.requests import Request

from regista.domain.errors import unknown_parameter


def known_parameters(request: Request) -> None:
    """A dependency of a router: whoever asks with a ``dry_run`` that a route does not have is not to change anything.

    Raises:
        Malformed: ``unknown_parameter``.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise unknown_parameter(name[:80], known)
