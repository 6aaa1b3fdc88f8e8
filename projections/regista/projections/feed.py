"""Where a projection gets its events from: the port that the log store and Kafka each implement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from regista.domain.chain import Row, event_hash
from regista.domain.errors import Damaged, Reason


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
_MISSING = "row_missing"
_ANOTHER = "row_is_another"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in position order, whole atomic sets only. Empty when the log holds nothing beyond the mark."""

    rows: Sequence[Row] = ()


class Feed(Protocol):
    """The log in position order, from any mark."""

    async def log_id(self) -> str:
        """The identity of the log. Another one than last time means that everything must be folded anew."""
        ...

    async def newest(self) -> int:
        """The newest position; 0 where there is none.

        Raises:
            Unavailable: the log cannot be read now.
        """
        ...

    async def read(self, after: Mark, limit: int) -> Batch:
        """The rows behind the mark: about ``limit`` of them, more where an atomic set would be split.

        Reads inclusively: the row at ``after.position`` must still have ``after.hash``.

        Raises:
            Damaged: ``log_diverged``, made by ``diverged``: that row is another one, or the log does not have it.
            Unavailable: the log cannot be read now.
        """
        ...

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """Return when a row beyond ``position`` may exist, after ``timeout`` seconds at the latest."""
        ...


def diverged(after: Mark, *, missing: bool) -> Damaged:
    """The error of a log that no longer holds a remembered row: ``missing``, or another is in its place."""
    detail = "is missing" if missing else "is another one"
    return Damaged(
        f"The log no longer holds the remembered event at position {after.position}: it {detail}.",
        code="log_diverged",
        hint="The log was replaced or lost events: rebuild the views once the log is the right one.",
        reasons=[Reason(_MISSING if missing else _ANOTHER, f"the event at position {after.position} {detail}")],
    )


def is_missing(error: Damaged) -> bool:
    """Whether a ``log_diverged`` says that the log does not have the row, rather than another in its place."""
    return any(reason.code == _MISSING for reason in error.reasons)
