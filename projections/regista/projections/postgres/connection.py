"""Connections to PostgreSQL as the views need them, and what its errors mean. No message holds a password."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import psycopg
from psycopg import conninfo
from psycopg.types.numeric import Int8BinaryDumper

from regista.domain.errors import Unavailable
from regista.projections.postgres.arrays import ARRAYS, ArrayDumper

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
SCHEMA: Final = "regista_views"
CHANNEL: Final = "regista_views"
"""Notified with every commit of the projector."""

_DEFAULTS: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "client_encoding": "UTF8",
}
"""A peer that is gone without a word is noticed within seconds. What the URL says comes first."""


def check(url: str) -> dict[str, Any]:
    """What a URL says.

    Raises:
        Unavailable: ``views_unreadable``: it is none.
    """
    try:
        return dict(conninfo.conninfo_to_dict(url))
    except psycopg.Error:
        raise Unavailable(
            "the URL of the database for the views cannot be read",  # its text may hold a password
            code="views_unreadable",
            hint="It is postgresql://user:password@host:5432/database, special characters percent-encoded.",
        ) from None


def connect(url: str, role: str, *settings: str) -> Connection:
    """A connection in autocommit; ``role`` is what the server's administrator sees, ``settings`` are set on it.

    Raises:
        Unavailable: ``views_unreadable``: the server cannot be reached or lets nobody in, or the URL is none.
    """
    options: dict[str, Any] = {**_DEFAULTS, "application_name": f"regista {role}", **check(url)}
    try:
        connection: Connection = psycopg.connect(conninfo.make_conninfo("", **options), autocommit=True)
    except psycopg.Error as error:
        raise unavailable(error) from error
    try:
        connection.adapters.register_dumper(int, Int8BinaryDumper)  # one prepared statement, however large numbers are
        for kind in ARRAYS:
            connection.adapters.register_dumper(kind, ArrayDumper.of(kind))
        connection.execute("; ".join((f"SET search_path = {SCHEMA}", "SET client_min_messages = warning", *settings)))
    except psycopg.Error as error:
        connection.close()
        raise unavailable(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def is_hindered(error: Exception) -> bool:
    """Whether an error is the server's or the network's, not of what was asked."""
    if isinstance(error, psycopg.errors.ProgramLimitExceeded):
        return False
    kinds = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
    return isinstance(error, (*kinds, psycopg.errors.InsufficientPrivilege, Unavailable))


def unavailable(error: psycopg.Error) -> Unavailable:
    """What a failed look means to whoever asked."""
    if isinstance(error, psycopg.errors.UndefinedTable):
        return rebuilding()
    if isinstance(error, psycopg.errors.QueryCanceled):
        return too_slow()
    return Unavailable(
        f"the views cannot be read: {_first_line(error)}",
        code="views_unreadable",
        hint="Ask again soon. If it stays so, look at the PostgreSQL server that holds the views.",
        retry_after=5,
    )


def rebuilding() -> Unavailable:
    """Nothing serves what was asked for yet."""
    return Unavailable(
        "the view is being built",
        code="view_rebuilding",
        hint="Ask again soon; GET /v1/status shows how far it is.",
    )


def too_slow() -> Unavailable:
    """It took longer than its deadline."""
    return Unavailable(
        "the query took too long", code="query_too_slow", hint="Name a model, or ask for less.", retry_after=5
    )


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
