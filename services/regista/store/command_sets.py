"""Rows by command: the atomic sets of a log, and what the command index says of each.

Consecutive rows with the same actor and command id are the events of one command: they came to exist together, and
readers never split them. The index can always be made again from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from regista.domain.chain import Row, event_hash
from regista.schemas import codec
from regista.store.append import CommandFound, CommandKey


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The events of one command, in order; at least one."""

    command: CommandKey
    rows: tuple[Row, ...]

    @property
    def found(self) -> CommandFound:
        """What the index holds for it."""
        return CommandFound(self.command.digest, self.rows[0].position, len(self.rows), set_hash(self.rows))


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


def command_of(row: Row) -> CommandKey:
    """The command that an event came from.

    Raises:
        SchemaError: the value cannot be read.
    """
    meta = codec.decode_meta(row.value)
    return CommandKey(meta["actor"], meta["command_id"], meta["command_digest"])


def command_sets(rows: Iterable[Row]) -> Iterator[CommandSet]:
    """The sets of a log whose rows come in the order of position.

    Raises:
        SchemaError: a value cannot be read.
    """
    for command, members in groupby(((command_of(row), row) for row in rows), key=lambda pair: pair[0]):
        yield CommandSet(command, tuple(row for _, row in members))
