"""The two clients: every operation from ``Reads``, ``Writes``, ``Models``, ``LiveMetrics``, ``Administration``, blocking or awaited."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from regista.client.administration import Administration
from regista.client.drivers import AsyncDriver, SyncDriver
from regista.client.inference import LiveMetrics
from regista.client.models import Models
from regista.client.reads import Reads
from regista.client.session import Session
from regista.client.settings import Settings, from_environment
from regista.client.writes import Writes


class Operations(Reads, Writes, Models, LiveMetrics, Administration):
    """All operations, and what both clients know about themselves."""

    _session: Session

    @property
    def settings(self) -> Settings:
        """How the registry is reached; the token is not shown."""
        return self._session.settings

    @property
    def position(self) -> int:
        """The highest position of the log that this client has seen; its reads wait for the views to hold it."""
        return self._session.position

    def saw(self, position: int) -> None:
        """Make this client's reads wait for a position that came another way: a message, another process."""
        self._session.saw(position)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.url!r}, actor={self.settings.actor!r}, position={self.position})"


def _session(url: str | None, token: str | None, actor: str | None, options: dict[str, Any]) -> Session:
    settings = from_environment(url, token, actor)
    return Session(replace(settings, **{name: value for name, value in options.items() if value is not None}))


class Client(Operations, SyncDriver):
    """A registry, blocking. Threads may share one client; close it, or use it in a ``with`` statement.

    Without arguments the environment decides: ``REGISTA_URL`` (default http://127.0.0.1:8080), ``REGISTA_TOKEN``,
    ``REGISTA_ACTOR`` (else the user of the system). Connection errors, timeouts and 429, 502, 503, 504 are tried again
    with the same idempotency key, up to ``attempts`` times within ``deadline`` seconds. With ``fresh`` every read waits
    for what this client has seen before, its own writes first of all.

    Raises:
        RegistaError: any operation, for what the registry refuses; ``Unreachable`` where it does not answer.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        actor: str | None = None,
        deadline: float | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        fresh: bool | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        options = {"deadline": deadline, "attempts": attempts, "timeout": timeout, "fresh": fresh}
        super().__init__(_session(url, token, actor, options), transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(Operations, AsyncDriver):
    """A registry, awaited. Everything else is as in ``Client``; close it with ``aclose``, or use ``async with``."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        actor: str | None = None,
        deadline: float | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        fresh: bool | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        options = {"deadline": deadline, "attempts": attempts, "timeout": timeout, "fresh": fresh}
        super().__init__(_session(url, token, actor, options), transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
