"""What a view wants written: set-based statements over many rows, as plain values.

Views are pure functions from events to changes; ``database`` carries them out. Tables are named in braces and
replaced by those of the view's generation, so that the same fold feeds the live tables and the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Table

FOREVER = 2**63 - 1
"""``to_position`` of an interval that has not ended."""

Values: TypeAlias = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``{rows}`` where ``(?, ?), (?, ?)`` goes. Each row has ``width`` values.

    ``late``: no other statement of a batch looks at these rows, so that they may all be written at its end, sorted.
    """

    text: str
    width: int
    late: bool = False


def insert(table: Table, *, ignore_conflicts: bool = False, late: bool = False) -> Statement:
    """Insert whole rows of a table, its columns in their order; rows that exist may be left alone."""
    columns = ", ".join(column.name for column in table.columns)
    conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    return Statement(f"INSERT INTO {{{table.name}}} ({columns}) VALUES {{rows}}{conflict}", len(table.columns), late)


def upsert(table: Table) -> Statement:
    """Insert whole rows of a table; a row whose primary key exists is replaced."""
    key = ", ".join(column.name for column in table.primary_key.columns)
    rest = ", ".join(f"{c.name} = excluded.{c.name}" for c in table.columns if not c.primary_key)
    columns = ", ".join(column.name for column in table.columns)
    text = f"INSERT INTO {{{table.name}}} ({columns}) VALUES {{rows}} ON CONFLICT ({key}) DO UPDATE SET {rest}"
    return Statement(text, len(table.columns))


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
