"""Conditions of SQL on tables of intervals, now or at a position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.projections.api.moments import position_at
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader


def moment_of(reader: Reader, arguments: Mapping[str, Any]) -> int | None:
    """The position that ``at`` stands for, None for now.

    Raises:
        Malformed: ``bad_moment``.
    """
    return position_at(reader, arguments["at"]) if "at" in arguments else None


def holds(alias: str, at: int | None) -> str:
    """That an interval holds. It looks at all that ended later: for tables that change seldom."""
    if at is None:
        return f"{alias}.to_position = {FOREVER}"
    return f"{alias}.to_position > {at} AND {alias}.from_position <= {at}"


def joined(table: str, alias: str, at: int | None, **key: str) -> str:
    """A join with the one interval of a key that holds: a look-up, however many there are. ``key``: column = expression."""
    same = " AND ".join(f"{alias}.{column} = {value}" for column, value in key.items())
    if at is None:
        return f"{table} {alias} ON {same} AND {alias}.to_position = {FOREVER}"
    first = " AND ".join(f"x.{column} = {value}" for column, value in key.items())
    end = f"(SELECT min(x.to_position) FROM {table} x WHERE {first} AND x.to_position > {at})"
    return f"{table} {alias} ON {same} AND {alias}.to_position = {end} AND {alias}.from_position <= {at}"


def marks(count: int) -> str:
    """So many parameters."""
    return ", ".join("?" * count)
