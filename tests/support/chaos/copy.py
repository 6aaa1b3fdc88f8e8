"""The log's tables, read with nothing of Regista: what the topics are compared with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import pack
from typing import Any, Protocol

import psycopg

from regista.projections.desk import ViewsFile
from regista.projections.postgres import PostgresViewsDatabase
from regista.projections.storage import ViewsStorage
from regista.store.log import LogReader
from regista.store.postgres import PostgresLogReader
from regista.store.sqlite import SQLiteLogReader


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the log, with the command that it belongs to and its place in that command's set."""

    position: int
    stream: str
    sequence: int
    type: str
    value: bytes
    actor: str
    command_id: str
    index: int
    size: int

    @property
    def hash(self) -> str:
        """What the write was answered."""
        name = self.stream.encode()
        return sha256(pack(">I", len(name)) + name + pack(">Q", self.sequence) + self.value).hexdigest()


@dataclass(frozen=True, slots=True)
class Copy:
    """All events in the order of position, and where the events of each command (actor, id) are."""

    log_id: str
    events: tuple[Kept, ...]
    commands: dict[tuple[str, str], tuple[int, int]]

    @property
    def end(self) -> int:
        """The newest position."""
        return self.events[-1].position if self.events else 0


def copy_of(rows: Iterable[tuple[Any, ...]], found: Iterable[tuple[Any, ...]]) -> Copy:
    """What the rows of a log's tables say."""
    placed = list(found)
    owners = {first + n: (actor, name, n + 1, count) for actor, name, first, count in placed for n in range(count)}
    nobody = ("", "", 1, 1)
    events = tuple(
        Kept(position, stream, sequence, kind, bytes(value), *owners.get(position, nobody))
        for position, stream, sequence, kind, value in rows
    )
    commands = {(actor, name): (first, count) for actor, name, first, count in placed}
    return Copy(events[0].stream.partition("/")[2] if events else "", events, commands)


class Store(Protocol):
    """Where a registry has its log and its views, looked at from outside."""

    def copy(self) -> Copy:
        """What the log holds at one moment."""

    def end(self) -> int:
        """The newest position that it has now."""

    def view_positions(self) -> set[int]:
        """Where the views that are shown stand; -1 for one that was stopped by an event."""

    def log(self) -> LogReader:
        """The log, for what walks and folds it; to be closed."""

    def views(self) -> ViewsFile | ViewsStorage:
        """The views, to be read; to be closed."""


class Files:
    """Files in a data directory."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log.db"
        self._views = folder / "views.db"

    def copy(self) -> Copy:
        with _file(self._log) as log:
            log.execute("BEGIN")
            return copy_of(log.execute(_EVENTS.format("")).fetchall(), log.execute(_COMMANDS.format("")).fetchall())

    def end(self) -> int:
        with _file(self._log) as log:
            return int(log.execute(_END.format("")).fetchone()[0])

    def view_positions(self) -> set[int]:
        with _file(self._views) as views:
            return _stands(views.execute(_STANDS.format("")).fetchall())

    def log(self) -> LogReader:
        return SQLiteLogReader(self._log)

    def views(self) -> ViewsFile:
        return ViewsFile(self._views)


class Database:
    """A database in PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def copy(self) -> Copy:
        with psycopg.connect(self._url) as log:
            log.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            events = log.execute(_EVENTS.format("regista.").encode()).fetchall()
            return copy_of(events, log.execute(_COMMANDS.format("regista.").encode()).fetchall())

    def end(self) -> int:
        with psycopg.connect(self._url) as log:
            return int((log.execute(_END.format("regista.").encode()).fetchone() or (0,))[0])

    def view_positions(self) -> set[int]:
        with psycopg.connect(self._url) as views:
            return _stands(views.execute(_STANDS.format("regista_views.").encode()).fetchall())

    def log(self) -> LogReader:
        return PostgresLogReader(self._url)

    def views(self) -> ViewsStorage:
        return PostgresViewsDatabase(self._url)


_EVENTS = "SELECT position, originator_id, originator_version, topic, state FROM {}events ORDER BY position"
_COMMANDS = "SELECT actor, command_id, position, count FROM {}commands"
_END = "SELECT coalesce(max(position), 0) FROM {}events"
_STANDS = "SELECT state, position FROM {}catalogue WHERE state <> 'building'"


@contextmanager
def _file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=30)) as file:
        yield file


def _stands(found: Iterable[tuple[Any, ...]]) -> set[int]:
    return {-1 if state == "degraded" else int(position) for state, position in found}
