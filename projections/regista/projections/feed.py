"""Where a projection gets its events from: the port that the log store and Kafka each implement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from regista.domain.chain import Row, event_hash


@dataclass(frozen=True, slots=True)
class Mark:
    """The last row that a reader remembers: its position, and its hash as proof that the log still holds it.

    Position 0 with no hash is the place before the first row.
    """

    position: int = 0
    hash: bytes = b""

    @classmethod
    def of(cls, row: Row) -> Mark:
        """The mark behind ``row``."""
        return cls(row.position, event_hash(row.stream, row.sequence, row.value))


START = Mark()


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in position order, whole atomic sets only. Empty when the log holds nothing beyond the mark."""

    rows: Sequence[Row] = ()


class Feed(Protocol):
    """The log in position order, from any mark."""

    async def log_id(self) -> str:
        """The identity of the log. Another one than last time means that everything must be folded anew."""
        ...

    async def read(self, after: Mark, limit: int) -> Batch:
        """The rows behind the mark: about ``limit`` of them, more where an atomic set would be split.

        Reads inclusively: the row at ``after.position`` must still have ``after.hash``.

        Raises:
            Damaged: ``log_diverged``: that row is another one, or the log ends before it.
            Unavailable: the log cannot be read now.
        """
        ...

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """Return when a row beyond ``position`` may exist, after ``timeout`` seconds at the latest."""
        ...
