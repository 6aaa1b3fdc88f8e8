"""What an append is checked for and where its events go, whatever the database: pure, used under the write lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from regista.domain.chain import Row
from regista.store.append import Append, Conflict, Duplicate
from regista.store.command_sets import CommandSet


def distinct_commands(appends: Iterable[Append]) -> list[tuple[str, str]]:
    """The commands, by actor and id, in order.

    Raises:
        Duplicate: one is there twice.
    """
    keys: dict[tuple[str, str], None] = {}
    for append in appends:
        if append.command.scoped in keys:
            raise Duplicate(*append.command.scoped)
        keys[append.command.scoped] = None
    return list(keys)


def streams_of(appends: Iterable[Append]) -> list[str]:
    """Every stream that is written or read, once."""
    return list(dict.fromkeys(stream for append in appends for stream in append.streams))


def check_heads(appends: Iterable[Append], heads: Mapping[str, int]) -> None:
    """Check that every stream is where its decision saw it, each append after those before it.

    ``heads`` has the newest sequence of every stream that exists.

    Raises:
        Conflict: one is not.
    """
    current = dict(heads)
    for append in appends:
        for stream, expected in append.reads.items():
            if (actual := current.get(stream, 0)) != expected:
                raise Conflict(stream, expected, actual)
        for row in append.rows:
            stream = str(row.originator_id)
            if (actual := current.get(stream, 0)) != row.originator_version - 1:
                raise Conflict(stream, row.originator_version - 1, actual)
            current[stream] = row.originator_version


def placed(appends: Sequence[Append], position: int) -> list[CommandSet]:
    """The sets with their events at ``position`` and the positions after it."""
    sets = []
    for append in appends:
        rows = []
        for row in append.rows:
            rows.append(Row(position, str(row.originator_id), row.originator_version, row.topic, row.state))
            position += 1
        sets.append(CommandSet(append.command, tuple(rows)))
    return sets
