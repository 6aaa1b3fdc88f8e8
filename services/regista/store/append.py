"""What is appended: one command's events, what the decision had read, and the command's own identity.

A command that came from a queue brings with it how far the queue is taken in then, and what is to be told of it: all of
that comes to exist with its events, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from eventsourcing.persistence import StoredEvent

__all__ = [
    "Append",
    "CommandFound",
    "CommandKey",
    "Conflict",
    "Duplicate",
    "Headers",
    "Intake",
    "IntakeMoved",
    "OutcomeKind",
    "OutcomeRow",
    "Outgoing",
    "StoredEvent",
    "Taken",
]

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]
"""As on Kafka: in order, a name may come more than once, a value may be missing."""
OutcomeKind: TypeAlias = Literal["result", "dead-letter"]


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


class Taken(NamedTuple):
    """How far a queue is taken in: up to ``offset``, itself not included.

    ``mark`` is what its taker knows the last record by that was taken in; None where it left none. It stays where an
    earlier release goes on without one, so a taker's mark says which offset it is of.
    """

    offset: int
    mark: bytes | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """A queue of commands (``topic/partition``) is taken in up to ``after``, itself not included.

    Compared and set under the write lock: whoever else took from it since is noticed, whatever they believe themselves.
    ``before`` is what the store has, 0 where it has nothing yet. Offsets may have gaps, and fall where a queue was made
    anew; they never stay. ``mark``: as in ``Taken``. ``before_mark`` is the mark that the store has, empty where it has
    none: an offset may come again in a queue that was made anew. None: it is not compared.
    """

    source: str
    before: int
    after: int
    mark: bytes | None = None
    before_mark: bytes | None = None

    def __post_init__(self) -> None:
        if self.after == self.before:
            msg = "an intake that takes nothing in"
            raise ValueError(msg)

    def follows(self, taken: Taken) -> bool:
        """Whether a queue is where its taker believes it."""
        if taken.offset != self.before:
            return False
        return self.before_mark is None or self.before_mark == (taken.mark or b"")

    @property
    def leaves(self) -> Taken:
        """How far the queue is taken in then."""
        return Taken(self.after, self.mark)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is to be told of a command that came from a queue. ``time_ms``: since 1970."""

    kind: OutcomeKind
    key: bytes | None
    value: bytes | None
    headers: Headers
    time_ms: int


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """An outcome in the store. ``id`` rises in the order of commits, with gaps; none is given twice.

    ``position`` is that of the last event that came to exist with it; None when there was none.
    """

    id: int
    outgoing: Outgoing
    position: int | None


@dataclass(frozen=True, slots=True)
class Append:
    """One command's events: they come to exist together, adjacent in position, or not at all.

    ``reads`` names every other stream the decision looked at with the sequence it saw (0: it did not exist). They are
    checked under the write lock of the append. The streams of ``rows`` are checked the same way without being named:
    each row must be the next of its stream. ``tips`` has the hash of the newest event that the decision saw, by stream: a
    log that was restored or failed over beneath a registrar may have another event at the same sequence.

    Without ``rows`` there is no ``command``, for the index knows commands by their events; there is an ``intake`` then,
    ``outcomes``, or both: a refusal is told, rests on its ``reads``, and leaves no other trace.
    """

    rows: tuple[StoredEvent, ...]
    command: CommandKey | None
    reads: Mapping[str, int] = field(default_factory=dict)
    intake: Intake | None = None
    outcomes: tuple[Outgoing, ...] = ()
    tips: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.rows) != (self.command is not None):
            msg = "a command is appended with its events, and events by a command"
            raise ValueError(msg)
        if not self.rows and self.intake is None and not self.outcomes:
            msg = "an append of nothing"
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


class IntakeMoved(Exception):
    """Somebody else took commands in from this queue. Nothing was appended: go on where the store is now."""

    def __init__(self, source: str, expected: int, actual: int) -> None:
        where = f"not {expected}" if actual != expected else "after another record than its taker knows"
        super().__init__(f"{source} is taken in up to {actual}, {where}")
        self.source = source
        self.expected = expected
        self.actual = actual
