"""The work database: what deployers and notifiers have to do, and what became of it.

No view: it cannot be made anew from the log, so it is backed up and only ever migrated forward. A file ``work.db`` in
the data directory (SQLite, WAL, ``synchronous=FULL``), or the schema ``regista_work`` of the log's PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, exc, text

from regista.domain.errors import Unavailable
from regista.store.leadership import FileLeadership, Leadership
from regista.work.grouping import Group
from regista.work.locks import alone
from regista.work.migrations import Component, migrate, prepare
from regista.work.tables import WORK

if TYPE_CHECKING:
    from regista.settings import Settings

__all__ = ["WORK_FILE", "Component", "Connection", "Work"]

WORK_FILE: Final = "work.db"
SCHEMA: Final = "regista_work"
_BUSY_SECONDS: Final = 10
_SESSIONS: Final = 4
_MIGRATING: Final = "work migrations"
T = TypeVar("T")
_Arguments: TypeAlias = list[Any]


class Work:
    """The work database. ``run`` belongs to one event loop; everything else may be called from any thread."""

    def __init__(
        self, engine: Engine, *, threads: int, leadership: Callable[[str], Leadership], scrub: Callable[[str], str]
    ) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="work")
        self._leadership = leadership
        self._scrub = scrub
        self._group = Group(self._threads, self._begin) if threads == 1 else None
        try:
            self._blocking(self._prepare)
            self.migrate(WORK)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The work database of the settings.

        Raises:
            Unavailable: ``work_unavailable``: it cannot be reached or written; ``extra_missing``.
            Damaged: ``work_newer``: a newer release wrote it.
        """
        if settings.log_url is None:
            return cls.at(settings.data / WORK_FILE)
        return cls.of(settings.log_url)

    @classmethod
    def at(cls, path: Path) -> Self:
        """A file of SQLite, made where there is none.

        Raises:
            Unavailable, Damaged: as ``open``.
        """
        engine = create_engine(
            f"sqlite:///{path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return cls(
            engine,
            threads=1,
            leadership=lambda name: FileLeadership(path.with_name(f"{path.name}.{name}.lock")),
            scrub=str,
        )

    @classmethod
    def of(cls, url: str) -> Self:
        """A schema of a database in PostgreSQL, made where there is none.

        Raises:
            Unavailable, Damaged: as ``open``.
            Invalid: ``settings_invalid``: the address cannot be read.
        """
        try:
            from regista.store.postgres import PostgresLeadership  # noqa: PLC0415 - an extra of its own
            from regista.store.postgres.address import Address  # noqa: PLC0415 - an extra of its own
        except ModuleNotFoundError as error:
            raise Unavailable(
                "The packages for PostgreSQL are not installed.",
                code="extra_missing",
                hint="pip install 'regista[server,postgres]'",
            ) from error
        address = Address(url)

        def connect_by(_dialect: object, _record: object, arguments: _Arguments, _named: object) -> None:
            arguments[:] = [address.conninfo(to_write=True)]

        engine = create_engine("postgresql+psycopg://", pool_size=_SESSIONS, max_overflow=0, pool_pre_ping=True)
        event.listen(engine, "do_connect", connect_by)
        event.listen(engine, "connect", _set_up_postgres)
        return cls(
            engine,
            threads=_SESSIONS,
            leadership=lambda name: PostgresLeadership(url, f"work {name}"),
            scrub=address.scrubbed,
        )

    def migrate(self, component: Component) -> None:
        """Bring the tables of a component to where this release wants them. Several processes may do so at once.

        Raises:
            Damaged: ``work_newer``: a newer release has been there before.
            Unavailable: ``work_unavailable``.
        """

        def apply(connection: Connection) -> None:
            alone(connection, _MIGRATING)
            migrate(connection, component)

        self._blocking(apply)

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """What ``fn`` returns of one transaction, in a thread: committed when it returns, undone when it raises.

        A transaction that was begun is finished, also where the waiter is cancelled. Of SQLite, what waits at the same
        time is committed together, and only what raises is undone.

        Raises:
            Unavailable: ``work_unavailable``: the database is away, locked or full. What was begun is undone, but for
                a commit whose answer was lost.
            Exception: what ``fn`` raises.
        """
        if self._group is not None:
            return await self._group.run(fn)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transaction, fn)

    def leadership(self, name: str) -> Leadership:
        """What lets one of several processes do the work of this name, for peace: cursors and epochs are the safety."""
        return self._leadership(name)

    def close(self) -> None:
        """Finish what was begun, and close."""
        self._threads.shutdown()
        self._engine.dispose()

    def _blocking(self, fn: Callable[[Connection], T]) -> T:
        return self._threads.submit(self._transaction, fn).result()

    def _transaction(self, fn: Callable[[Connection], T]) -> T:
        with self._begin() as connection:
            return fn(connection)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    def _prepare(self, connection: Connection) -> None:
        alone(connection, _MIGRATING)
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        prepare(connection)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
            said = self._scrub(_first_line(getattr(error, "orig", None) or error))
            raise Unavailable(
                f"the work database cannot be used: {said}",
                code="work_unavailable",
                hint="It is tried again. If it stays so, look at the disk, or at the PostgreSQL server.",
            ) from None  # the original may show the address with its password


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, and with a lock to write
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set_up_postgres(connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's connection
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path = {SCHEMA}")
        cursor.execute("SET client_min_messages = warning")
    connection.commit()
