"""One registrar per data directory: an advisory lock that the kernel drops with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from regista.domain.errors import Unavailable


class DataLock:
    """An exclusive ``flock`` on ``DATA/lock``; the file names the process that holds it."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once.

        Raises:
            Unavailable: code ``data_in_use`` when another process has it; ``log_read_only`` when it cannot be made.
        """
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Unavailable(
                f"The lock {path} cannot be taken: {error.strerror}.",
                code="log_read_only",
                hint=_hint(path.parent),
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise Unavailable(
                f"The data directory {path.parent} is in use by process {holder}.",
                code="data_in_use",
                hint=f"Stop process {holder}, or use another data directory.",
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two holders in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _hint(data: Path) -> str:
    if data.exists() and not data.is_dir():
        return f"{data} is a file: name a directory."
    return "Make the data directory writable for this process."
