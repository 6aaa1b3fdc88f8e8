"""A process of Regista: its log output, its event loop, its socket, and what its end means."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any, Protocol, TypeVar

from starlette.types import ASGIApp

from regista.domain.errors import RegistaError, Unavailable
from regista.http.serving import Server, listen, url_of
from regista.settings import Settings

_REMEMBERED = 1000


class Served(AbstractAsyncContextManager[Any], Protocol):
    """What a process runs: works while it is entered, and answers HTTP."""

    @property
    def asgi(self) -> ASGIApp:
        """Its HTTP."""


class FewRepeats(logging.Filter):
    """Lets a message of some packages through once a minute, however often they repeat it.

    A client of Kafka says several times a second that a broker is away, for as long as that lasts.
    """

    def __init__(self, *packages: str, every: float = 60.0, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._packages = packages
        self._every = every
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is to be seen."""
        if record.name.partition(".")[0] not in self._packages:
            return True
        message, now = record.getMessage(), self._clock()
        if now - self._said.get(message, -self._every) < self._every:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[message] = now
        return True


S = TypeVar("S", bound=Served)


def running(settings: Settings, work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run until it is done; the exit code: 0 when everything was finished, 1 when it could not start or had to end."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    for talkative in ("aiokafka", "faust", "httpx", "mode", "regista.deployer.app", "uvicorn"):
        logging.getLogger(talkative).setLevel(max(logging.WARNING, logging.getLogger().level))
    for handler in logging.getLogger().handlers:
        handler.addFilter(FewRepeats("aiokafka"))
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
    greet: Callable[[S, str], None],
    *,
    before_shutdown: Callable[[S], None] = lambda _served: None,
    failed: Callable[[S], asyncio.Event] = lambda _served: asyncio.Event(),
) -> None:
    """Listen, build, say where it is, and serve until SIGTERM or Ctrl+C, or until ``failed`` is set.

    Raises:
        RegistaError: the socket cannot be had, or the parts cannot start; ``part_failed``.
    """
    listener = listen(settings.host, settings.port)
    with listener:
        async with build() as served:
            server = Server(served.asgi, settings, before_shutdown=lambda: before_shutdown(served))
            greet(served, url_of(listener))
            sys.stdout.flush()
            lost = failed(served)
            watching = asyncio.create_task(_exit_when(lost, server))
            try:
                await server.serve([listener])
            finally:
                watching.cancel()
    if lost.is_set():
        raise Unavailable(
            "a part that this process cannot do without has ended", code="part_failed", hint="The log output says why."
        )


async def _exit_when(lost: asyncio.Event, server: Server) -> None:
    await lost.wait()
    server.should_exit = True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not there on every platform
    except ImportError:
        return None
    return new_event_loop
