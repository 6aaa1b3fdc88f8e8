"""How the parts of a registry's own process reach it: by its HTTP, as everybody does, but without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from starlette.types import ASGIApp

INSIDE = "http://127.0.0.1"
"""What a registry is called by those inside its process."""


def transport_inside(asgi: ASGIApp) -> httpx.ASGITransport:
    """What carries their requests. A registry that fails answers 500, as it does to those outside."""
    return httpx.ASGITransport(asgi, raise_app_exceptions=False)
