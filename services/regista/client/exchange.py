"""What an operation asks of the world, and what it gets: the seam between the one core and its two drivers.

An operation is a generator (``Steps``). It yields an effect, is sent the effect's result, and returns the typed answer;
it never touches a socket, a clock or a thread. A driver performs the effects, blocking or on an event loop
(https://sans-io.readthedocs.io). Tests drive the same generators with scripted answers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileBody:
    """A run of a file's bytes as a request body, read anew for every attempt.

    ``sent`` is called with the bytes of this attempt so far and of the whole, after each chunk.
    """

    path: Path
    start: int
    size: int
    sent: Callable[[int, int], None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``path`` is percent-encoded and below the registry's URL; ``timeout`` in seconds, per read."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileBody | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; header names are in lower case. ``content`` is empty where the body is streamed."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300

    @property
    def position(self) -> int:
        """``Regista-Position``, 0 where it is missing or no number."""
        text = self.headers.get("regista-position", "")
        return int(text) if text.isascii() and text.isdecimal() else 0

    @property
    def retry_after(self) -> float | None:
        """``Retry-After`` in seconds from now (RFC 9110, 10.2.3: a number or a date), None where it is missing."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdecimal():
            return float(text)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())


class TransportFault(Exception):
    """No answer came: refused, timed out, broken off. A driver throws it into the operation; ``cause`` says what."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Stream(Protocol):
    """An open answer. Only its driver knows what it is; it is closed at the latest when the operation ends."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the result is a ``Response`` with its whole body. Raises ``TransportFault``."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request; the result is ``Opened``. ``chunk`` is how many bytes to gather, None: whatever has come."""

    request: Request
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer whose body is read by ``Receive``. Where it is not ``ok`` the body is there already, and no stream."""

    response: Response
    stream: Stream | None


@dataclass(frozen=True, slots=True)
class Receive:
    """Read on; the result is bytes, or None at the end. Raises ``TransportFault``."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Close:
    """Read no further."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """Call something that takes its time (hashing, writing a file) where it holds nobody up; its result is the result."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Hand these to whoever iterates. Only in an operation that is iterated."""

    items: Sequence[T]


Effect: TypeAlias = Send | Open | Receive | Close | Sleep | Run | Emit[Any]
Steps: TypeAlias = Generator[Effect, Any, T]


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The operation ended with this answer."""

    value: T


def advance(steps: Steps[T], result: object = None) -> Effect | Done[T]:
    """Hand an operation the result of its last effect (None to start it), and see what it wants next."""
    try:
        return steps.send(result)
    except StopIteration as end:
        return Done(end.value)


def fail(steps: Steps[T], error: Exception) -> Effect | Done[T]:
    """Tell an operation that its last effect failed. What it does not handle comes out here."""
    try:
        return steps.throw(error)
    except StopIteration as end:
        return Done(end.value)
