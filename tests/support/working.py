"""A log in memory that effects follow, the work database that they keep, and effects that only write down what they got."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    exc,
    select,
    text,
)  # fmt: skip
from sqlalchemy.event import listen, remove
from sqlalchemy.schema import CreateTable

from regista.domain import events as e
from regista.domain.chain import Row, event_hash, stream_hash
from regista.domain.records import meta_to_record, to_record
from regista.projections.memory import MemoryFeed
from regista.schemas.codec import encode
from regista.work.database import Component, Work
from regista.work.logged import Logged

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = 10.0
WorkPlace: TypeAlias = Path | str
"""Where the work database lies: a file of SQLite, or the URL of a database in PostgreSQL."""


def open_work(place: WorkPlace) -> Work:
    return Work.at(place) if isinstance(place, Path) else Work.of(place)


async def eventually(holds: Callable[[], object], within: float = PATIENCE) -> None:
    """Return when it holds."""
    until = time.monotonic() + within
    while not holds():
        assert time.monotonic() < until, "it did not come true in time"
        await asyncio.sleep(0.005)


class ScriptedLog:
    """Rows of any events, chained as the store would, put into a feed as they are made."""

    def __init__(self, log_id: str = "log-1") -> None:
        self.feed = MemoryFeed(log_id)
        self.log_id = log_id
        self.position = 0
        self._tips: dict[str, tuple[int, bytes]] = {}

    def append(
        self,
        stream: str,
        *events: e.Event,
        actor: str = "ada",
        identity: e.Identity = "asserted",
        cause: str | None = None,
        reason: str | None = "because",
    ) -> int:
        """Append one atomic set; the position of its last event."""
        rows = []
        for event in events:
            self.position += 1
            sequence, previous = self._tips.get(stream, (0, stream_hash(stream)))
            meta = e.Meta(
                START + timedelta(seconds=self.position), actor, identity, reason, f"command-{self.position}",
                sha256(b"body").digest(), cause, None, None, previous,
            )  # fmt: skip
            value = encode(type(event).__name__, {"meta": meta_to_record(meta), **to_record(event)})
            row = Row(self.position, stream, sequence + 1, event.TYPE, value)
            self._tips[stream] = (row.sequence, event_hash(stream, row.sequence, value))
            rows.append(row)
        self.feed.append(*rows)
        return self.position

    def alias(self, name: str = "champion", *, identity: e.Identity = "asserted") -> int:
        """Append an event that nothing follows from."""
        return self.append("model/fraud", e.AliasRemoved("fraud", name, "1.0.0", 1), identity=identity)


_NOTES = Table(
    "notes",
    MetaData(),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("how", Text, nullable=False),
)


class Notes:
    """Implements ``Effects``: writes down each event, and how it came."""

    name = "notes"
    component = Component("notes", ((CreateTable(_NOTES),),))

    def __init__(self) -> None:
        self.woken = 0
        self.looks_at: frozenset[str] | None = None
        self.fails_at = 0

    def types(self, _: Connection) -> frozenset[str] | None:
        return self.looks_at

    def fold(self, connection: Connection, events: Sequence[Logged]) -> None:
        self._write(connection, events, "known")

    def take(self, connection: Connection, events: Sequence[Logged]) -> bool:
        self._write(connection, events, "taken")
        return True

    def taken(self) -> None:
        self.woken += 1

    def reset(self, connection: Connection) -> None:
        connection.execute(_NOTES.delete())

    def _write(self, connection: Connection, events: Sequence[Logged], how: str) -> None:
        for event in events:
            connection.execute(_NOTES.insert(), {"position": event.position, "how": how})
            if event.position == self.fails_at:
                raise ValueError("a defect")


@contextmanager
def losing_once(statement: str) -> Iterator[list[str]]:
    """The database is lost at the first commit of a transaction with a statement that begins so: it is undone.

    What was lost so far, for all databases of the process.
    """
    inside: set[int] = set()
    lost: list[str] = []

    def executes(connection: Connection, _cursor: object, said: str, *_: object) -> None:
        if said.startswith(statement) and not lost:
            inside.add(id(connection))

    def commits(connection: Connection) -> None:
        if id(connection) in inside and not lost:
            lost.append(statement)
            raise exc.OperationalError(statement, None, OSError("the server is gone"))

    listen(Engine, "before_cursor_execute", executes)
    listen(Engine, "commit", commits)
    try:
        yield lost
    finally:
        remove(Engine, "before_cursor_execute", executes)
        remove(Engine, "commit", commits)


def asked(data: Path, query: str) -> list[tuple[Any, ...]]:
    """What the work database of a process on a data directory holds."""
    engine = create_engine(f"sqlite:///{data / 'work.db'}")
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()


async def noted(work: Work) -> dict[int, str]:
    """What was written down, by position."""

    def read(connection: Connection) -> dict[int, str]:
        return {row.position: row.how for row in connection.execute(select(_NOTES))}

    return await work.run(read)
