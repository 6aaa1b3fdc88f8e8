"""Looks for damage in the log's tables and indexes with what the server offers."""

from __future__ import annotations

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from regista.store.postgres.connections import Connection

_AMCHECK = (
    "SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace "
    "WHERE e.extname = 'amcheck'"
)
_INDEXES = (
    "SELECT c.oid, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "JOIN pg_am AS a ON a.oid = c.relam WHERE n.nspname = 'regista' AND c.relkind = 'i' AND a.amname = 'btree' "
    "ORDER BY c.relname"
)
_ORDERS: tuple[tuple[str, *tuple[tuple[str, ...], ...]], ...] = (
    ("events", ("position",), ("originator_id", "originator_version")),
    ("commands", ("actor", "command_id")),
)


def problems_of(connection: Connection) -> list[str]:
    """What is wrong, in the server's words; empty when nothing was found.

    Raises:
        psycopg.Error: a page cannot be read, or the server cannot be asked.
    """
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        found = connection.execute(_AMCHECK).fetchone()
        if found is not None:
            return _checked(connection, str(found[0]))
        return _counted(connection)


def _checked(connection: Connection, schema: str) -> list[str]:
    """Every index against its table, by amcheck. A user who may not call it reads instead."""
    check = SQL("SELECT {}.bt_index_check(%s::oid, true)").format(Identifier(schema))
    problems = []
    for oid, name in connection.execute(_INDEXES).fetchall():
        try:
            with connection.transaction():
                connection.execute(check, (oid,))
        except errors.InsufficientPrivilege:
            return _counted(connection)
        except (errors.DataCorrupted, errors.IndexCorrupted) as error:
            problems.append(f"{name}: {error.diag.message_primary}")
    return problems


def _counted(connection: Connection) -> list[str]:
    """Read every row by each index and without one. What is missing on a way shows in the number."""
    problems = []
    for table, *columns in _ORDERS:
        whole = _count(connection, table, None)
        found = {index: _count(connection, table, index) for index in columns}
        problems += [
            f"{table} has {whole} rows, its index on {', '.join(index)} finds {number}"
            for index, number in found.items()
            if number != whole
        ]
    return problems


def _count(connection: Connection, table: str, index: tuple[str, ...] | None) -> int:
    by_index = "on" if index else "off"
    for setting in ("enable_indexscan", "enable_indexonlyscan"):
        connection.execute(f"SET LOCAL {setting} = {by_index}")
    connection.execute(
        f"SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = {'off' if index else 'on'}"
    )
    order: Composable = SQL(", ").join(map(Identifier, index)) if index else SQL("1")
    # The offset keeps the planner from dropping the order, and so the way the rows are read.
    counted = SQL("SELECT count(*) FROM (SELECT 1 FROM regista.{} ORDER BY {} OFFSET 0) AS every_row")
    found = connection.execute(counted.format(Identifier(table), order)).fetchone()
    return int(found[0]) if found else 0
