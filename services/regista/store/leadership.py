"""Which of several processes works while the others stand by: for peace only.

The safety is another: the fence of the relay's producer, the epoch in a consumer's row.
"""

from __future__ import annotations

import asyncio
import fcntl
from hashlib import sha256
from pathlib import Path
from typing import IO, Protocol

_LOOK = 0.25


class Leadership(Protocol):
    """A lock that ends with the process that holds it."""

    async def acquire(self) -> None:
        """Wait until it is ours."""

    async def release(self) -> None:
        """Give it up; nothing happens where it is not ours."""


def lock_key(name: str) -> int:
    """The key of the advisory lock of PostgreSQL that is called so here."""
    return int.from_bytes(sha256(f"regista {name}".encode()).digest()[:8], "big", signed=True)


class FileLeadership:
    """A lock on a file: for the processes of one machine. The kernel gives it up when its process ends, however."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    async def acquire(self) -> None:
        """Wait until no other process, and no other object of this one, holds the lock."""
        if self._file is not None:
            return
        file = self._path.open("ab")
        try:
            while not _locked(file):  # noqa: ASYNC110 - the kernel tells nobody that a lock is free
                await asyncio.sleep(_LOOK)
        except BaseException:
            file.close()
            raise
        self._file = file

    async def release(self) -> None:
        """Give the lock up."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
