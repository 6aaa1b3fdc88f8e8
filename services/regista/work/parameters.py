"""Parameters of the routes that answer from the work database: what is not known is refused, never passed over."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.requests import Request

from regista.domain.errors import Malformed


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
            raise Malformed(
                f"there is no parameter {name[:80]!r} here",
                code="unknown_parameter",
                hint=f"It takes {', '.join(known) or 'none'}.",
            )
