"""Processes that end with this one, however it ends: also by SIGKILL, and whichever thread started them.

``PR_SET_PDEATHSIG`` would not do: it is sent when the *thread* that started the child ends. Here a small watcher holds
the other end of a pipe; when the pipe closes, because this process is gone, it kills what is still on the list.
"""

from __future__ import annotations

import atexit
import pwd
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

WATCHER = """
import contextlib, os, signal, sys
held = {}
for line in sys.stdin:
    word, pid = line.split()
    with contextlib.suppress(OSError):
        if word == "add":
            held[pid] = os.pidfd_open(int(pid)) if hasattr(os, "pidfd_open") else None
        elif (handle := held.pop(pid, None)) is not None:
            os.close(handle)
for pid, handle in held.items():
    with contextlib.suppress(OSError):
        os.kill(int(pid), signal.SIGKILL) if handle is None else signal.pidfd_send_signal(handle, signal.SIGKILL)
"""


class _Watcher:
    """One for this process, started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def tell(self, word: str, pid: int) -> None:
        with self._lock:
            if self._process is None:
                # A session of its own: Ctrl+C in the terminal must not reach it.
                self._process = subprocess.Popen(
                    [sys.executable, "-S", "-c", WATCHER], stdin=subprocess.PIPE, text=True, start_new_session=True
                )
                atexit.register(self._close)
            assert self._process.stdin is not None
            self._process.stdin.write(f"{word} {pid}\n")
            self._process.stdin.flush()

    def _close(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


_watcher = _Watcher()


def start(
    command: Sequence[str | Path],
    output: IO[bytes],
    *,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that ends with this one, in a session of its own; both its outputs go to ``output``.

    ``user`` runs it as another user, without further groups; only root may ask for that.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=None if user is None else _group(user),
        extra_groups=None if user is None else [],
        env=environment,
        cwd=folder,
    )
    _watcher.tell("add", process.pid)
    return process


def ended(process: subprocess.Popen[bytes], timeout: float) -> int:
    """Wait for the end of a process from ``start``: its exit code. ``subprocess.TimeoutExpired`` after that time."""
    code = process.wait(timeout)
    _watcher.tell("drop", process.pid)
    return code


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
