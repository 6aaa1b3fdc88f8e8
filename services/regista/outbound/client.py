"""Calling addresses that somebody registered: one request, one bounded answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from regista.outbound.connections import Connections


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The names of ``headers`` are found in any case. ``body`` is its beginning, up to the limit; ``whole`` says whether there was no more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def taken(self) -> bool:
        """Whether it is an answer of success: 2xx, and nothing else."""
        return self.status // 100 == 2

    def retry_after(self, now: datetime) -> float | None:
        """The seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3); None where it says nothing that can be read."""
        return retry_after(self.headers.get("Retry-After"), now)


class Outbound:
    """Calls registered addresses over connections that it keeps. It belongs to one event loop.

    What it needs is loaded by its first call: that takes longer than most processes, which call nobody, have to spare.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        connect: float = 10.0,
        read: float = 10.0,
        connections: int = 100,
        agent: str = "regista",
    ) -> None:
        """``connect`` and ``read`` are the seconds for a connection and for each piece of an answer."""
        self._allow_private = allow_private
        self._connect = connect
        self._read = read
        self._limit = connections
        self._agent = agent
        self._connections: Connections | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        within: float,
        limit: int = 65_536,
    ) -> Answer:
        """Send a request and read the first ``limit`` bytes of the answer, all of it ``within`` so many seconds.

        A timeout of a step begins anew with every byte: alone it lets a receiver that drips hold the caller for ever.

        Raises:
            Forbidden: ``private_address``.
            TimeoutError: it took longer.
            Unavailable: ``no_answer``; its detail has nothing of the address but host and port.
        """
        connections = self._connections or await self._opened()
        async with asyncio.timeout(within):
            status, found, body = await connections.request(method, url, headers, content, limit)
        return Answer(status, found, body[:limit], len(body) <= limit)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._connections is not None:
            await self._connections.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _opened(self) -> Connections:
        module = await asyncio.to_thread(import_module, "regista.outbound.connections")
        if self._connections is None:
            self._connections = module.Connections(
                allow_private=self._allow_private,
                connect=self._connect,
                read=self._read,
                limit=self._limit,
                agent=self._agent,
            )
        return self._connections


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds that ``Retry-After`` asks for: a number or a date (RFC 9110, 10.2.3); None where it says neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at - now).total_seconds()) if at.tzinfo is not None else None
