"""What views were told to pass over, in a table that outlives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple

from regista.projections.postgres.connection import Connection
from regista.projections.postgres.dialect import bound
from regista.projections.skips import Skip

_COLUMNS = "log_id, view, version, position, reason, actor, time"


def recorded(connection: Connection) -> tuple[Skip, ...]:
    """All of them, in the order in which they were recorded."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM skips ORDER BY number").fetchall()
    return tuple(Skip(*row) for row in rows)


def add(connection: Connection, skips: Iterable[Skip]) -> tuple[Skip, ...]:
    """Record skips; one that is known already keeps its first reason. All that are recorded then, on the disk."""
    with connection.transaction():
        for skip in skips:
            connection.execute(
                f"INSERT INTO skips ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                bound(astuple(skip)),
            )
    return recorded(connection)
