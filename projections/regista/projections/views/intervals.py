"""Tables of what holds from one position to another: [from_position, to_position).

At most one interval of a key is open, and none overlap: the one that holds at a position is the first that ends behind
it, if it began before. The columns are the key, ``to_position``, ``from_position``, and what holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Table

from regista.projections.changes import FOREVER, Change, Statement, insert, open_end, types_of, writes

Key: TypeAlias = tuple[str, ...]


class Kept:
    """A table of intervals, with the statements that begin and end some."""

    def __init__(self, table: Table) -> None:
        names = [column.name for column in table.columns]
        self.to = names.index("to_position")
        key = names[: self.to]
        same = " AND ".join(f"{{{table.name}}}.{name} = v.{name}" for name in key)
        self.insert = insert(table)
        self.close = Statement(
            f"WITH v ({', '.join(key)}, position) AS (VALUES {{rows}}) UPDATE {{{table.name}}} SET to_position = v.position "
            f"FROM v WHERE {same} AND {{{table.name}}}.to_position = {open_end('v.position')}",
            (*types_of(table)[: self.to], int),
        )


class Intervals:
    """Intervals of one table that a fold begins and ends; one that it does both with is written once."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._begun: list[list[Any]] = []
        self._ended: list[tuple[Any, ...]] = []
        self._open: dict[Key, list[Any]] = {}

    def begin(self, key: Key, position: int, *values: object) -> None:
        """From this position on these values hold, instead of those that did, if any."""
        self.end(key, position)
        self._open[key] = row = [*key, FOREVER, position, *values]
        self._begun.append(row)

    def end(self, key: Key, position: int) -> None:
        """What holds, if anything does, no longer holds from this position on."""
        row = self._open.pop(key, None)
        if row is None:
            self._ended.append((*key, position))
        else:
            row[self._kept.to] = position

    def changes(self) -> list[Change]:
        """What is to be written: an interval ends before the next begins."""
        return writes((self._kept.close, _first(self._ended, self._kept.to)), (self._kept.insert, self._begun))


def _first(ended: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    """An interval that was open before the fold ends where it ended first: behind that there was nothing to end."""
    first: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in ended:
        first.setdefault(row[:width], row)
    return list(first.values())
