"""What a check of a log can find, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from regista.domain.chain import Row


class Kind(StrEnum):
    """Stable names of what can be wrong with a log."""

    CHAIN = "chain"
    """The event does not carry the hash of the one before it in its stream: one of the two was changed."""
    EDITED = "edited"
    """The event is not the one that the command index covers."""
    MISSING = "missing"
    """Events before this one in its stream are gone."""
    ORDER = "order"
    """A position or a sequence that does not follow: inserted, copied or moved."""
    UNREADABLE = "unreadable"
    """The value is no Avro record that this release knows."""
    TYPE = "type"
    """The row says another type than its value."""
    CREATION = "creation"
    """The log does not begin with its creation, or the creation is not the log's."""
    COMMAND = "command"
    """The command index lacks the command, or says something else of it."""
    REMOVED = "removed"
    """The command index knows a command whose events are gone."""
    HEAD = "head"
    """The log does not hold, or no longer is, what the given head proves."""
    COPY = "copy"
    """The store and Kafka do not have the same event there."""
    STORAGE = "storage"
    """The database says that its own pages or indexes are broken."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing found. Position 0: it is about no single event; ``stream`` is empty then."""

    position: int
    stream: str
    sequence: int
    kind: Kind
    detail: str

    @classmethod
    def at(cls, row: Row, kind: Kind, detail: str) -> Problem:
        """A problem of one row."""
        return cls(row.position, row.stream, row.sequence, kind, detail)

    def __str__(self) -> str:
        place = (
            f"position {self.position}, {self.stream}@{self.sequence}" if self.stream else f"position {self.position}"
        )
        return f"{self.kind}: {place if self.position else 'the log'}: {self.detail}"
