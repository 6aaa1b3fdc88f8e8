"""How transfers ask for what they need: generators that yield steps and are sent the results (sans-IO).

The rules of a transfer stand once, in :mod:`regista.artifacts.push` and :mod:`regista.artifacts.pull`; a driver, blocking or
asynchronous, carries the steps out. An error of a driver is thrown into the generator by its loop, so that cleaning up runs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """Call ``call``, which reads or writes local files and may take long; the result is what it returns."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Has:
    """Ask whether the store has a blob (``HEAD``); the result is a bool."""

    digest: str


@dataclass(frozen=True, slots=True)
class Send:
    """Upload ``size`` bytes of a local file from ``offset`` as the blob ``digest``, telling ``sent`` of each chunk's length."""

    digest: str
    path: Path
    offset: int
    size: int
    sent: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class SendManifest:
    """Upload a manifest."""

    digest: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """Download the blob ``digest`` of ``size`` bytes, handing every chunk to ``write``, in order."""

    digest: str
    size: int
    write: Callable[[bytes], None]


PushStep: TypeAlias = Work | Has | Send | SendManifest
PullStep: TypeAlias = Work | Fetch
PushSteps: TypeAlias = Generator[PushStep, Any, T]
PullSteps: TypeAlias = Generator[PullStep, Any, T]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer has come: bytes done of all, and the file it is at."""

    done: int
    total: int
    path: str


OnProgress: TypeAlias = Callable[[Progress], None]


class Meter:
    """Counts bytes and reports them; without a listener, only counts."""

    def __init__(self, total: int, listener: OnProgress | None) -> None:
        self._done, self._total, self._listener, self._path = 0, total, listener, ""

    def at(self, path: str) -> None:
        """Name the file that the next bytes belong to."""
        self._path = path
        self.add(0)

    def add(self, length: int) -> None:
        """Count bytes of the present file."""
        self._done += length
        if self._listener is not None:
            self._listener(Progress(self._done, self._total, self._path))
