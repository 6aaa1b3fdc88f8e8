"""The tables that say which views exist and how far each has come: plain rows and statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from regista.domain.chain import Head
from regista.projections.decoding import Progress
from regista.projections.feed import Mark
from regista.projections.views.base import View

State: TypeAlias = Literal["building", "live", "degraded"]
START = Progress()
FORMAT = "1"
"""Of these tables. Another format is another file: views are disposable."""

DDL = (
    "CREATE TABLE IF NOT EXISTS about (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS catalogue (
        view TEXT NOT NULL, version INTEGER NOT NULL, generation INTEGER NOT NULL, state TEXT NOT NULL,
        position BIGINT NOT NULL, count BIGINT NOT NULL, digest BLOB NOT NULL, mark BLOB NOT NULL,
        running_time BIGINT NOT NULL, error TEXT, PRIMARY KEY (view, version, generation))""",
)
COLUMNS = "view, version, generation, state, position, count, digest, mark, running_time, error"
SELECT = f"SELECT {COLUMNS} FROM catalogue ORDER BY view, version, generation"
INSERT = f"INSERT INTO catalogue ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SERVES = "CASE state WHEN 'building' THEN 'building' ELSE 'live' END"
ADVANCE = (
    "UPDATE catalogue SET state = ?, position = ?, count = ?, digest = ?, mark = ?, running_time = ?, error = ? "
    f"WHERE view = ? AND version = ? AND generation = ? AND {_SERVES} = ? AND position = ?"
)
ADVANCE_TOGETHER = (
    "UPDATE catalogue SET state = CASE state WHEN 'degraded' THEN 'live' ELSE state END, position = ?, count = ?, "
    "digest = ?, mark = ?, running_time = ?, error = NULL WHERE position = ? "
    f"AND (view, version, generation, {_SERVES}) IN (VALUES {{rows}})"
)
"""An entry is where and what it was: a server that crashed may have lost that a generation serves, and not where it is."""
DELETE = "DELETE FROM catalogue WHERE view = ? AND version = ? AND generation = ?"
POSITIONS = "SELECT view, position FROM catalogue WHERE state <> 'building'"


@dataclass(frozen=True, slots=True)
class Entry:
    """One generation of one version of a view: where it stands, and why it does not go on."""

    view: str
    version: int
    generation: int
    state: State
    progress: Progress = START
    error: str | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        """What names the entry."""
        return self.view, self.version, self.generation

    @property
    def position(self) -> int:
        """The last position folded."""
        return self.progress.position

    @property
    def readable(self) -> bool:
        """Whether queries are answered from it."""
        return self.state != "building"

    def at(self, progress: Progress) -> Entry:
        """The entry further on."""
        return replace(self, progress=progress)

    def values(self) -> tuple[Any, ...]:
        """The row."""
        head = self.progress.head
        return (
            *self.key,
            self.state,
            head.position,
            head.count,
            head.digest,
            self.progress.mark.hash,
            self.progress.running_time,
            self.error,
        )

    @property
    def place(self) -> tuple[str, int, int, str]:
        """What names the entry, and whether it serves."""
        return *self.key, "live" if self.readable else "building"

    def advance_values(self, before: Entry) -> tuple[Any, ...]:
        """The parameters of ``ADVANCE`` from the entry ``before``."""
        return *self.values()[3:], *before.place, before.position

    def advance_together_values(self, before: int) -> tuple[Any, ...]:
        """The parameters of ``ADVANCE_TOGETHER`` from the position ``before``, without the places."""
        return *self.values()[4:9], before

    @classmethod
    def of(cls, row: Sequence[Any]) -> Entry:
        """The entry of a row."""
        view, version, generation, state, position, count, digest, mark, running_time, error = row
        progress = Progress(Head(position, count, digest), Mark(position, mark), running_time)
        return cls(view, version, generation, state, progress, error)


def expose(view: View, generation: int) -> list[str]:
    """Statements that make queries see this generation."""
    statements = []
    for table in view.tables:
        name = view.public_name(table.name)
        statements.append(f"DROP VIEW IF EXISTS {name}")
        statements.append(f"CREATE VIEW {name} AS SELECT * FROM {view.physical_name(table.name, generation)}")
    return statements
