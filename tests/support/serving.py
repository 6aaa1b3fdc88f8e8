"""A real server on a real socket, in a thread of the test: for what only a connection shows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from regista.http.serving import Server, listen, url_of
from regista.settings import Settings


@dataclass(frozen=True, slots=True)
class Served:
    """Where it listens, and how to begin its end."""

    host: str
    port: int
    url: str
    stop: Callable[[], None]
    ended: Callable[[float], bool]


@contextmanager
def serving(
    app: ASGIApp, settings: Settings, *, before_shutdown: Callable[[], None] = lambda: None
) -> Iterator[Served]:
    """Serve an application until the block ends."""
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    server = _Announced(app, settings, before_shutdown=before_shutdown)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))

    def stop() -> None:
        server.should_exit = True

    def ended(timeout: float) -> bool:
        thread.join(timeout)
        return not thread.is_alive()

    thread.start()
    try:
        assert server.listening.wait(10)
        yield Served(host, port, url_of(listener), stop, ended)
    finally:
        stop()
        assert ended(10)


class _Announced(Server):
    def __init__(self, app: ASGIApp, settings: Settings, *, before_shutdown: Callable[[], None]) -> None:
        super().__init__(app, settings, before_shutdown=before_shutdown)
        self.listening = threading.Event()

    async def main_loop(self) -> None:
        self.listening.set()
        await super().main_loop()
