"""In which order transactions take their locks: on PostgreSQL two orders would let them wait for each other in a circle.

First the cursor, of whoever has one (``Taking.check``); then what is ``alone``; then rows, in the order of their keys.
Of SQLite every transaction is alone.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, Text, delete, func, select, text

from regista.store.leadership import lock_key


def alone(connection: Connection, name: str) -> None:
    """Let nobody else be alone by this name until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(name)})


def remove(connection: Connection, table: Table, *where: ColumnElement[bool]) -> None:
    """Delete rows, locked in the order of their keys: a statement alone locks them as it comes upon them."""
    if connection.dialect.name == "postgresql":
        columns = table.primary_key.columns
        # As Python sorts, for those who lock one row after the other.
        order = (column.collate("C") if isinstance(column.type, Text) else column for column in columns)
        locked = select(*columns).where(*where).order_by(*order).with_for_update().subquery()
        connection.execute(select(func.count()).select_from(locked))
    connection.execute(delete(table).where(*where))
