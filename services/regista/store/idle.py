"""Connections between two reads: what the pools of both stores keep, and how they let go of it."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """A connection, of whichever database."""

    def close(self) -> None:
        """End it."""


C = TypeVar("C", bound=Closable)


class IdleConnections(Generic[C]):
    """Any thread may take one from ``_idle`` or put one there at any time, also while they are closed."""

    def __init__(self) -> None:
        self._idle: deque[C] = deque()
        self._closed = False

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return
