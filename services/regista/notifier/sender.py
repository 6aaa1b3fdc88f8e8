"""One attempt over HTTP: what was answered, whatever came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

from regista.domain.errors import Forbidden, Unavailable
from regista.domain.times import Clock, utc_now
from regista.outbound.addresses import address_problem
from regista.outbound.client import Outbound

GONE: Final = 410
READ_AT_MOST: Final = 4_096
"""Bytes of an answer; nothing in it is acted upon."""
EXCERPT: Final = 1_000
"""Characters of an answer that are kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: ``connect`` and ``read`` for each step, ``total`` for the attempt as a whole."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 15.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request. ``status`` None: there was no answer, and ``error`` says why; ``duration`` in seconds."""

    status: int | None
    duration: float
    error: str | None = None
    excerpt: str = ""
    retry_after: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver has it: 2xx, and nothing else."""
        return self.status is not None and 200 <= self.status < 300


class Sender(Protocol):
    """Brings a body to an address."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send it once. Raises nothing but what ends the process."""
        ...

    async def aclose(self) -> None:
        """Give the connections back."""
        ...


class HttpSender:
    """Implements ``Sender``: redirects are not followed, and private addresses only called where they are allowed."""

    def __init__(
        self, *, allow_private: bool, limits: Limits = Limits(), connections: int = 1_000, clock: Clock = utc_now
    ) -> None:
        self._allow_private = allow_private
        self._limits = limits
        self._clock = clock
        self._outbound = Outbound(
            allow_private=allow_private,
            connect=limits.connect,
            read=limits.read,
            connections=connections,
            agent="regista-notifier",
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """As ``Sender.post``."""
        started = perf_counter()

        def failed(why: str) -> Reply:
            return Reply(None, perf_counter() - started, why)

        if problem := address_problem(url, allow_private=self._allow_private):
            return failed(problem)
        try:
            answer = await self._outbound.send(
                "POST", url, headers=headers, content=body, within=self._limits.total, limit=READ_AT_MOST
            )
        except TimeoutError:
            return failed(f"no answer within {self._limits.total:g} s")
        except (Forbidden, Unavailable) as error:
            return failed(error.detail)
        return Reply(
            answer.status,
            perf_counter() - started,
            None if answer.taken else f"answered with {answer.status}",
            answer.body.decode("utf-8", "replace").replace("\0", "")[:READ_AT_MOST],
            answer.retry_after(self._clock()),
        )

    async def aclose(self) -> None:
        """As ``Sender.aclose``."""
        await self._outbound.aclose()
