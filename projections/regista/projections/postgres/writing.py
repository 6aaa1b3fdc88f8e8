"""Carrying out the changes of a view: one statement for any number of rows, and COPY where rows are only added."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from regista.projections.changes import Rewrite, Statement, Values
from regista.projections.postgres.arrays import OF
from regista.projections.postgres.connection import Connection
from regista.projections.postgres.dialect import bound_text
from regista.projections.views.base import View

COPIED = 32
"""Rows from which COPY is quicker than a statement: it takes a round trip more."""
_TYPES = {str: "text", int: "int8", bytes: "bytea"}


class Writing:
    """What is written to one generation of a view, inside a transaction."""

    def __init__(self, connection: Connection, view: View, generation: int) -> None:
        self._connection = connection
        self._view = view
        self._generation = generation

    def write(self, statement: Statement, rows: Sequence[Values]) -> None:
        """Carry out one statement over rows."""
        if statement.target is not None and len(rows) >= COPIED:
            self._copy(statement, rows)
        else:
            columns = zip(*rows, strict=True)
            values = [OF[kind](column) for kind, column in zip(statement.types, columns, strict=True)]
            self._connection.execute(_text(self._view, self._generation, statement), values, prepare=True)

    def rewrite(self, change: Rewrite) -> None:
        """Read one row, change it, write it back."""
        select, update = (_named(self._view, self._generation, text) for text in (change.select, change.update))
        row = self._connection.execute(select, change.key, prepare=True, binary=True).fetchone()
        if row is None:
            raise LookupError(f"{self._view.name}: nothing to change at {change.key}")
        self._connection.execute(update, change.change(row), prepare=True)

    def _copy(self, statement: Statement, rows: Sequence[Values]) -> None:
        text = _copied(self._view, self._generation, statement)
        with self._connection.cursor() as cursor, cursor.copy(text) as copy:
            copy.set_types([_TYPES[kind] for kind in statement.types])
            for row in rows:
                copy.write_row(row)


@cache
def _text(view: View, generation: int, statement: Statement) -> str:
    columns = ", ".join(f"%s::{OF[kind].sql}" for kind in statement.types)
    text = bound_text(statement.text).replace("VALUES {rows}", f"SELECT * FROM unnest({columns})")
    return text.format(**view.names(generation))


@cache
def _copied(view: View, generation: int, statement: Statement) -> str:
    assert statement.target is not None
    columns = ", ".join(column.name for column in statement.target.columns)
    name = view.physical_name(statement.target.name, generation)
    return f"COPY {name} ({columns}) FROM STDIN (FORMAT BINARY)"


@cache
def _named(view: View, generation: int, text: str) -> str:
    return bound_text(text).format(**view.names(generation))
