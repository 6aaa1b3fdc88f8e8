"""Rows by command: the atomic sets of a log, and what the command index says of each.

The index holds nothing that the rows do not say: an import makes it anew. It is not made anew in place, where it vouches
for the newest events, and where that would hide that one of them was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from regista.domain.chain import Row, event_hash
from regista.schemas import atomic
from regista.schemas.atomic import atomic_sets, readable_command
from regista.store.append import CommandFound, CommandKey

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The events of one command, in order; at least one."""

    command: CommandKey
    rows: tuple[Row, ...]

    @property
    def found(self) -> CommandFound:
        """What the index holds for it."""
        return CommandFound(self.command.digest, self.rows[0].position, len(self.rows), set_hash(self.rows))


def in_chunks(sets: Iterable[CommandSet]) -> Iterator[list[CommandSet]]:
    """Sets in lists short enough to hold."""
    rest = iter(sets)
    while some := list(islice(rest, _CHUNK)):
        yield some


def set_hash(rows: Iterable[Row]) -> bytes:
    """SHA-256 over position and hash of each event of a command: 32 bytes.

    It stands in the index, so that a change of the newest event of a stream, which no later event vouches for yet, is
    seen as well.
    """
    covered = sha256()
    for row in rows:
        covered.update(row.position.to_bytes(8, "big"))
        covered.update(event_hash(row.stream, row.sequence, row.value))
    return covered.digest()


def command_of(row: Row) -> CommandKey | None:
    """The command that an event came from; None when the event cannot be read."""
    command = readable_command(row.value)
    return None if command is None else CommandKey(*command)


def command_sets(rows: Iterable[Row]) -> Iterator[CommandSet]:
    """The sets of a log whose rows come in the order of position.

    Raises:
        SchemaError: a value cannot be read.
    """
    for command, members in atomic_sets(rows):
        yield CommandSet(CommandKey(*(command or atomic.command_of(members[0].value))), members)
