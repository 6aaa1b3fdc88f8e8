"""Which values came to exist together: the events of one command are neighbours in the log, and no reader splits them.

The one rule by which sets are cut: neighbours with the same actor, command id and digest of the command. A value that
cannot be read is a set of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple, Protocol, TypeVar

from regista.schemas.codec import decode_stamp
from regista.schemas.errors import SchemaError


class Command(NamedTuple):
    """The command that an event came from; ``digest`` (32 bytes) is that of its canonical body."""

    actor: str
    command_id: str
    digest: bytes


class Stored(Protocol):
    """An event as it is stored."""

    @property
    def value(self) -> bytes:
        """The event in Avro single-object encoding."""


_Row = TypeVar("_Row", bound=Stored)


def command_of(value: bytes) -> Command:
    """The command of a value.

    Raises:
        SchemaError: the value cannot be read.
    """
    stamp = decode_stamp(value)
    return Command(stamp["actor"], stamp["command_id"], stamp["command_digest"])


def readable_command(value: bytes) -> Command | None:
    """The command of a value; None when it cannot be read."""
    try:
        return command_of(value)
    except SchemaError:
        return None


def atomic_sets(rows: Iterable[_Row]) -> Iterator[tuple[Command | None, tuple[_Row, ...]]]:
    """The sets of rows that come in the order of position; None stands for the command of a row that cannot be read."""
    commands = ((readable_command(row.value), row) for row in rows)
    # An object equals nothing but itself: two unreadable neighbours are two sets.
    for key, members in groupby(commands, key=lambda pair: pair[0] or object()):
        yield (key if isinstance(key, Command) else None), tuple(row for _, row in members)
