"""The tables of the views in PostgreSQL: those that say which there are, and those of one generation.

Queries see a generation by name: ``exposed`` says which table ``models_v1`` stands for. A snapshot reads it once, so
that what it sees belongs together; with views of SQL the old rows would meet the new names. What no query will see any
more waits in ``retired`` until those that still may are over.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.projections import catalogue
from regista.projections.desk import DDL as DESK
from regista.projections.postgres.connection import SCHEMA, Connection
from regista.projections.views.base import View

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so
_LOCK: Final = 0x7265_6769_7374_0001
"""Held while the tables are made: two processes may start at once."""
_OWN: Final = (
    """CREATE TABLE IF NOT EXISTS exposed (name TEXT NOT NULL PRIMARY KEY, physical TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS retired (
        name TEXT NOT NULL PRIMARY KEY, since TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp())""",
)
_LASTING: Final = (
    """CREATE TABLE IF NOT EXISTS skips (
        log_id TEXT NOT NULL, view TEXT NOT NULL, version BIGINT NOT NULL, position BIGINT NOT NULL,
        reason TEXT NOT NULL, actor TEXT NOT NULL, time TEXT NOT NULL, number BIGINT GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (log_id, view, version, position))""",
    *DESK,
)
"""What no rebuild and no other format takes away."""
_GENERATIONS: Final = (
    "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename ~ '_v[0-9]+_g[0-9]+$'"
)


def prepare(connection: Connection) -> bool:
    """Make the tables that say which views there are. False: those of another format were there, and are gone."""
    if _is_there(connection):
        return True
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if _is_there(connection):
            return True
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        known = _format(connection)
        if known is not None:
            drop_all(connection)
            connection.execute("DROP TABLE IF EXISTS about, catalogue, exposed, retired")
        for statement in (*map(_adapted, catalogue.DDL), *map(_adapted, _OWN), *map(_adapted, _LASTING)):
            connection.execute(statement)
        connection.execute("INSERT INTO about VALUES ('format', %s) ON CONFLICT DO NOTHING", (catalogue.FORMAT,))
        return known is None


def drop_all(connection: Connection) -> None:
    """Drop the tables of all generations. Inside a transaction."""
    for (name,) in connection.execute(_GENERATIONS, (SCHEMA,)).fetchall():
        connection.execute(f"DROP TABLE {name}")


def tables_of(connection: Connection, view: View, version: int, generation: int) -> list[str]:
    """The tables of a generation that are there. An earlier version may have had others."""
    suffix = f"_v{version}_g{generation}"
    names = [f"{table.name}{suffix}" for table in view.tables]
    query = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = ANY(%s)"
    return [name for (name,) in connection.execute(query, (SCHEMA, names)).fetchall()]


def make(connection: Connection, view: View, generation: int) -> None:
    """Make the tables of a generation. Inside a transaction."""
    for table in view.physical_tables(generation).sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Text):
                column.type = Text(collation="C")  # the order of bytes, as SQLite has it
        connection.execute(str(CreateTable(table).compile(dialect=_DIALECT)))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            connection.execute(str(CreateIndex(index).compile(dialect=_DIALECT)))


def _is_there(connection: Connection) -> bool:
    """Whether nothing is to be made: whoever may only use the tables can then do without the right to make any."""
    names = ["about", "catalogue", "exposed", "retired", "skips", "projector", "requests"]
    query = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = ANY(%s)"
    found = connection.execute(query, (SCHEMA, names)).fetchone()
    return found == (len(names),) and _format(connection) == catalogue.FORMAT


def _format(connection: Connection) -> str | None:
    if connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.about",)).fetchone() == (None,):
        return None
    row = connection.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
    return "" if row is None else str(row[0])


def _adapted(statement: str) -> str:
    return statement.replace(" TEXT", ' TEXT COLLATE "C"').replace(" BLOB", " BYTEA").replace(" INTEGER", " BIGINT")
