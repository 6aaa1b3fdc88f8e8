"""One attempt over HTTP: what was answered, whatever came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from time import perf_counter
from typing import Final, Protocol

import httpx

from regista.domain.errors import Forbidden
from regista.domain.times import Clock, utc_now
from regista.outbound import address_problem, outbound_client, send

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
    """Implements ``Sender``: redirects are not followed, and private addresses only called where they are allowed.

    The client is made with the first delivery: it reads certificates, which takes longer than most processes need.
    """

    def __init__(
        self, *, allow_private: bool, limits: Limits = Limits(), connections: int = 1_000, clock: Clock = utc_now
    ) -> None:
        self._allow_private = allow_private
        self._limits = limits
        self._connections = connections
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """As ``Sender.post``."""
        started = perf_counter()

        def failed(why: str) -> Reply:
            return Reply(None, perf_counter() - started, why)

        if problem := address_problem(url, allow_private=self._allow_private):
            return failed(problem)
        client = self._opened()
        try:
            request = client.build_request("POST", url, headers=dict(headers), content=body)
            answer = await send(client, request, within=self._limits.total, limit=READ_AT_MOST)
        except TimeoutError:
            return failed(f"no answer within {self._limits.total:g} s")
        except Forbidden as error:
            return failed(error.detail)
        except httpx.HTTPError as error:
            return failed(_words(error))
        finally:
            client.cookies.clear()  # a receiver has nothing to remember here
        taken = answer.status // 100 == 2
        return Reply(
            answer.status,
            perf_counter() - started,
            None if taken else f"answered with {answer.status}",
            answer.body.decode("utf-8", "replace").replace("\0", "")[:READ_AT_MOST],
            retry_after(answer.headers.get("retry-after"), self._clock()),
        )

    async def aclose(self) -> None:
        """As ``Sender.aclose``."""
        if self._client is not None:
            await self._client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = outbound_client(
                allow_private=self._allow_private,
                connections=self._connections,
                headers={"Accept-Encoding": "identity", "User-Agent": "regista-notifier"},
            )
            self._client.timeout = httpx.Timeout(self._limits.read, connect=self._limits.connect)
        return self._client


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


def _words(error: httpx.HTTPError) -> str:
    """What went wrong, without the address: its path may be a secret of the receiver's."""
    text = str(error)
    return f"{type(error).__name__}: {text[:300]}" if text and "://" not in text else type(error).__name__
