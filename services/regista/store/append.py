"""What is appended: one command's events, what the decision had read, and the command's own identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventsourcing.persistence import StoredEvent

__all__ = ["Append", "CommandFound", "CommandKey", "Conflict", "Duplicate", "StoredEvent"]


@dataclass(frozen=True, slots=True)
class CommandKey:
    """A command: its id is scoped by the actor, ``digest`` (32 bytes) is that of its canonical body."""

    actor: str
    command_id: str
    digest: bytes

    @property
    def scoped(self) -> tuple[str, str]:
        """What is unique in a log."""
        return (self.actor, self.command_id)


@dataclass(frozen=True, slots=True)
class CommandFound:
    """A command that the log holds: its events are the ``count`` rows from ``position`` on.

    ``hash`` covers those events (``regista.store.command_sets.set_hash``).
    """

    digest: bytes
    position: int
    count: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """One command's events: they come to exist together, adjacent in position, or not at all.

    ``reads`` names every other stream the decision looked at with the sequence it saw (0: it did not exist). They are
    checked under the write lock of the append. The streams of ``rows`` are checked the same way without being named:
    each row must be the next of its stream.
    """

    rows: tuple[StoredEvent, ...]
    command: CommandKey
    reads: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rows:
            msg = "an append without events"
            raise ValueError(msg)

    @property
    def streams(self) -> set[str]:
        """The streams written and the streams read."""
        return {str(row.originator_id) for row in self.rows} | set(self.reads)


class Conflict(Exception):
    """A stream is not where the decision saw it. Nothing was appended: reload, decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at {actual}, the decision saw {expected}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class Duplicate(Exception):
    """The log holds this command already. Nothing was appended: answer from the events it has."""

    def __init__(self, actor: str, command_id: str) -> None:
        super().__init__(f"command {command_id!r} of {actor!r} is in the log")
        self.actor = actor
        self.command_id = command_id
