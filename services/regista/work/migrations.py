"""Forward migrations: each component brings its own, and the database knows how far it has come with each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, select
from sqlalchemy.schema import CreateTable, ExecutableDDLElement

from regista.domain.errors import Damaged

_MIGRATIONS: Final = Table(
    "migrations",
    MetaData(),
    Column("component", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("applied_at", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the database: a name, and the steps that make its tables, each a tuple of statements.

    A step that was released is never changed: what comes later is a step behind it.
    """

    name: str
    migrations: tuple[tuple[ExecutableDDLElement, ...], ...]


def prepare(connection: Connection) -> None:
    """Make what remembers the steps."""
    connection.execute(CreateTable(_MIGRATIONS, if_not_exists=True))


def migrate(connection: Connection, component: Component) -> None:
    """Take the steps that are missing. Nobody else migrates meanwhile.

    Raises:
        Damaged: ``work_newer``: a newer release took steps that this one does not know.
    """
    column = _MIGRATIONS.c.component
    done = connection.execute(select(_MIGRATIONS.c.version).where(column == component.name)).scalar()
    there, wanted = done or 0, len(component.migrations)
    if there > wanted:
        raise Damaged(
            f"The work database has step {there} of {component.name}; this release knows {wanted}.",
            code="work_newer",
            hint="A newer release wrote it: run that one, or restore a backup of the database from before.",
        )
    if there == wanted and done is not None:
        return
    for step in component.migrations[there:]:
        for statement in step:
            connection.execute(statement)
    values = {"version": wanted, "applied_at": datetime.now(UTC).isoformat()}
    if done is None:
        connection.execute(_MIGRATIONS.insert(), {"component": component.name, **values})
    else:
        connection.execute(_MIGRATIONS.update().where(column == component.name), values)
