"""A process of Regista: its log output, its event loop, its socket, and what its end means."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from starlette.types import ASGIApp

from regista.domain.errors import RegistaError
from regista.http.serving import Server, listen, url_of
from regista.settings import Settings


class Served(AbstractAsyncContextManager[Any], Protocol):
    """What a process runs: works while it is entered, and answers HTTP."""

    @property
    def asgi(self) -> ASGIApp:
        """Its HTTP."""


S = TypeVar("S", bound=Served)


def running(settings: Settings, work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run until it is done; the exit code: 0 when everything was finished, 1 when it could not start or had to end."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("aiokafka").setLevel(max(logging.ERROR, logging.getLogger().level))
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work())
    except RegistaError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stderr.write(f"regista: {error.detail}{hint}\n")
        return 1
    return 0


async def serve_until_signal(
    settings: Settings,
    build: Callable[[], S],
    greet: Callable[[str], None],
    *,
    before_shutdown: Callable[[S], None] = lambda _served: None,
) -> None:
    """Listen, build, say where it is, and serve until SIGTERM or Ctrl+C.

    Raises:
        RegistaError: the socket cannot be had, or the parts cannot start.
    """
    listener = listen(settings.host, settings.port)
    with listener:
        async with build() as served:
            server = Server(served.asgi, settings, before_shutdown=lambda: before_shutdown(served))
            greet(url_of(listener))
            sys.stdout.flush()
            await server.serve([listener])


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not there on every platform
    except ImportError:
        return None
    return new_event_loop
