"""What a view wants written: set-based statements over many rows, as plain values.

Views are pure functions from events to changes; ``database`` carries them out. Tables are named in braces and
replaced by those of the view's generation, so that the same fold feeds the live tables and the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import LargeBinary, Table, Text

FOREVER = 2**63 - 1
"""``to_position`` of an interval that has not ended."""

Values: TypeAlias = Sequence[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """SQL with ``VALUES {rows}`` where ``(?, ?), (?, ?)`` goes. ``types`` are those of the values of a row.

    ``late``: no other statement of a batch looks at these rows, so that they may all be written at its end, sorted.
    ``target``: the statement does nothing but insert the rows into this table, and none of them is there.
    """

    text: str
    types: tuple[type, ...]
    late: bool = False
    target: Table | None = None

    @property
    def width(self) -> int:
        """How many values a row has."""
        return len(self.types)


def open_end(column: str) -> str:
    """``FOREVER``, said with a column of the values: else a planner may begin with all intervals that are open."""
    return f"{FOREVER} + 0 * {column}"


def insert(table: Table, *, ignore_conflicts: bool = False, late: bool = False) -> Statement:
    """Insert whole rows of a table, its columns in their order; rows that exist may be left alone."""
    columns = ", ".join(column.name for column in table.columns)
    conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    text = f"INSERT INTO {{{table.name}}} ({columns}) VALUES {{rows}}{conflict}"
    return Statement(text, types_of(table), late, None if ignore_conflicts else table)


def upsert(table: Table) -> Statement:
    """Insert whole rows of a table; a row whose primary key exists is replaced."""
    key = ", ".join(column.name for column in table.primary_key.columns)
    rest = ", ".join(f"{c.name} = excluded.{c.name}" for c in table.columns if not c.primary_key)
    columns = ", ".join(column.name for column in table.columns)
    text = f"INSERT INTO {{{table.name}}} ({columns}) VALUES {{rows}} ON CONFLICT ({key}) DO UPDATE SET {rest}"
    return Statement(text, types_of(table))


def types_of(table: Table) -> tuple[type, ...]:
    """The types of a table's columns, as values have them: ``str``, ``int`` or ``bytes``."""
    kinds = {Text: str, LargeBinary: bytes}
    return tuple(kinds.get(type(column.type), int) for column in table.columns)


@dataclass(frozen=True, slots=True)
class Write:
    """One statement over rows, in order."""

    statement: Statement
    rows: Sequence[Values]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Read one row, change it, write it back: for rare changes that no statement expresses.

    ``change`` gets the columns of ``select`` and gives the parameters of ``update``.
    """

    select: str
    key: Values
    update: str
    change: Callable[[Values], Values]


Change: TypeAlias = Write | Rewrite


def writes(*pairs: tuple[Statement, Sequence[Values]]) -> list[Change]:
    """The writes that have rows."""
    return [Write(statement, rows) for statement, rows in pairs if rows]
