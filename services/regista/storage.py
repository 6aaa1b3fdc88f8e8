"""Where the log, the views and the secrets lie, by the settings: files in the data directory, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from regista.domain.errors import Unavailable
from regista.projections.database import ViewsDatabase
from regista.projections.desk import ViewsFile, ViewsSource
from regista.store.sqlite.private import PRIVATE_FILE, SQLitePrivateTable
from regista.store.sqlite.reader import SQLiteLogReader
from regista.store.sqlite.store import LOG_FILE, SQLiteLogStore

if TYPE_CHECKING:
    from regista.projections.storage import ViewsStorage
    from regista.settings import Settings
    from regista.store.log import LogReader, LogStore
    from regista.store.private import PrivateTable

VIEWS_FILE = "views.db"


class ViewsOfAnother(ViewsSource, Protocol):
    """A database of views that this process opened to read."""

    def close(self) -> None:
        """Close what is open of it."""


def open_log(settings: Settings) -> LogStore:
    """The log, to be written. A file is held by one process at a time; on PostgreSQL several may write.

    Raises:
        Unavailable: it cannot be reached or is in use, or the packages for PostgreSQL are missing.
        Damaged: what lies there is no log, or one of a newer release.
    """
    if settings.log_url is None:
        return SQLiteLogStore(settings.data)
    try:
        from regista.store.postgres import PostgresLogStore  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise _without_postgres() from error
    return PostgresLogStore(settings.log_url)


def open_log_reader(settings: Settings) -> LogReader:
    """The log, to be read beside whoever writes it.

    Raises:
        NotFound: there is no log yet.
        Unavailable, Damaged: as ``open_log``.
    """
    if settings.log_url is None:
        return SQLiteLogReader(settings.data / LOG_FILE)
    try:
        from regista.store.postgres import PostgresLogReader  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise _without_postgres() from error
    return PostgresLogReader(settings.log_url)


def open_private(settings: Settings) -> PrivateTable:
    """The private table, which holds the secrets of the log's targets and subscriptions. Any process may have it open.

    Raises:
        Unavailable: it cannot be reached, or the packages for PostgreSQL are missing.
        Damaged: what lies there is something else, or of a newer release.
    """
    if settings.log_url is None:
        return SQLitePrivateTable(settings.data / PRIVATE_FILE)
    try:
        from regista.store.postgres import PostgresPrivateTable  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise _without_postgres() from error
    return PostgresPrivateTable(settings.log_url)


def open_views(settings: Settings) -> ViewsStorage:
    """The database of the views.

    Raises:
        Unavailable: it cannot be reached, or the packages for PostgreSQL are missing.
    """
    if settings.views_url is None:
        return ViewsDatabase(settings.data / VIEWS_FILE)
    try:
        from regista.projections.postgres import PostgresViewsDatabase  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise _without_postgres() from error
    return PostgresViewsDatabase(settings.views_url)


def open_views_of_another(settings: Settings) -> ViewsOfAnother:
    """The database of the views, for a process that reads what another one projects.

    Raises:
        Unavailable: the packages for PostgreSQL are missing.
    """
    if settings.views_url is None:
        return ViewsFile(settings.data / VIEWS_FILE)
    return open_views(settings)


def wakeups(settings: Settings, grown: Callable[[], None]) -> list[Coroutine[Any, Any, None]]:
    """What calls ``grown`` when another process appended to the log, and runs until it is cancelled.

    A file has none: it is polled, as PostgreSQL is too.
    """
    if settings.log_url is None:
        return []
    from regista.store.postgres import PostgresWakeup  # noqa: PLC0415 - an extra of its own

    return [PostgresWakeup(settings.log_url, grown).run()]


def _without_postgres() -> Unavailable:
    return Unavailable(
        "The packages for PostgreSQL are not installed.",
        code="extra_missing",
        hint="pip install 'regista[server,postgres]'",
    )
