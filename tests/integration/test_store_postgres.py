"""The log in PostgreSQL: how it comes to be, what it refuses, and what it does not leave to the server's settings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from threading import Barrier

import psycopg
import pytest
from tests.support.chained_log import Writer, filled
from tests.support.postgres_server import fresh_database, url_of

from regista.domain.errors import Damaged, Invalid, NotFound, RegistaError, Unavailable
from regista.store.birth import Importer
from regista.store.export import export_lines, import_lines
from regista.store.postgres import PostgresLogReader, PostgresLogStore
from regista.store.postgres.address import Address
from regista.store.postgres.connections import connect
from regista.store.verify import verify

pytestmark = pytest.mark.engine("postgres")


@contextmanager
def session(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection


def tamper(url: str, *statements: str) -> None:
    """Change the log behind its back."""
    with session(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_registrars_that_create_the_log_at_the_same_moment_make_one(postgres_database: str) -> None:
    together = Barrier(6, timeout=20)

    def open_it(_: int) -> str:
        together.wait()
        with closing(PostgresLogStore(postgres_database)) as store:
            return store.log_id

    with ThreadPoolExecutor(6) as threads:
        ids = set(threads.map(open_it, range(6)))
    with closing(PostgresLogReader(postgres_database)) as reader:
        [row] = reader.read(0, 100)
        assert ids == {reader.log_id}
        assert (row.position, row.type) == (1, "regista.log.created.v1")


def test_a_schema_that_somebody_made_for_the_log_is_used(postgres_database: str) -> None:
    tamper(postgres_database, "CREATE SCHEMA regista")
    with closing(PostgresLogStore(postgres_database)) as store:
        assert store.max_position() == 1


def test_there_may_be_no_log_another_program_or_a_newer_release(postgres_database: str) -> None:
    with pytest.raises(NotFound) as missing:
        PostgresLogReader(postgres_database)
    assert missing.value.code == "log_not_found"
    PostgresLogStore(postgres_database).close()
    tamper(postgres_database, "UPDATE regista.log SET value = '99' WHERE key = 'schema_version'")
    for opening in (PostgresLogReader, PostgresLogStore):
        with pytest.raises(Damaged) as newer:
            opening(postgres_database)
        assert newer.value.code == "log_too_new"
    tamper(postgres_database, "DROP TABLE regista.log", "CREATE TABLE regista.log (line TEXT)")
    for opening in (PostgresLogReader, PostgresLogStore):
        with pytest.raises(Damaged) as other:
            opening(postgres_database)
        assert other.value.code == "not_a_log"


def test_the_option_that_takes_the_lock_away_is_refused(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "y")
    with pytest.raises(Invalid) as refused:
        PostgresLogStore(postgres_database)
    assert refused.value.code == "db_functions_enabled"


def test_an_encoding_that_cannot_hold_every_text_is_refused(postgres_database: str) -> None:
    name = "regista_latin"
    with session(postgres_database) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
        try:
            with pytest.raises(Invalid) as refused:
                PostgresLogStore(url_of(postgres_database, name))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    assert refused.value.code == "database_unsuitable"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://regista:s3cr%2Ft-word@127.0.0.1:1/none",
        "postgresql://regista:s3cr/t-word@127.0.0.1:1/none",
        "postgresql://regista@127.0.0.1:1/none?password=s3cr/t-word",
        "postgresql://regista:s3cr/t-word@[::1/none",
    ],
)
def test_a_password_is_in_no_error_and_no_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(RegistaError) as refused:
        PostgresLogStore(url)
    told = [str(refused.value), repr(refused.value), str(refused.value.hint), caplog.text]
    cause: BaseException | None = refused.value.__cause__
    while cause is not None:
        told += [str(cause), repr(cause)]
        cause = cause.__cause__
    assert not [text for text in told if "t-word" in text]


def test_what_is_promised_does_not_hang_on_the_settings_of_the_server(postgres_database: str) -> None:
    with session(postgres_database) as connection:
        name = connection.info.dbname
        for setting in (
            "synchronous_commit = off",
            "default_transaction_isolation = 'repeatable read'",
            "search_path = elsewhere",
        ):
            connection.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    with closing(connect(Address(postgres_database), lock_timeout=1)) as ours:
        for setting, expected in (
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("statement_timeout", "30s"),
            ("lock_timeout", "1s"),
        ):
            assert ours.execute(f"SHOW {setting}".encode()).fetchone() == (expected,)
    with closing(PostgresLogStore(postgres_database)) as store:
        filled(store)
        assert verify(store).ok


def test_commands_come_in_the_order_of_their_bytes_whatever_the_locale(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database)) as store:
        for actor in ("b", "B", "a-1", "ä", "A", "a"):
            Writer(store, actor).write(f"model-{actor.encode().hex()}")
        assert [actor for actor, _, _ in store.commands()] == sorted(["b", "B", "a-1", "ä", "A", "a", "system"])


def test_a_vacuum_of_the_events_holds_up_no_append(postgres_database: str) -> None:
    with (
        closing(PostgresLogStore(postgres_database, lock_timeout=0.2)) as store,
        session(postgres_database) as other,
        other.transaction(),
    ):
        other.execute("LOCK TABLE regista.events, regista.commands IN SHARE UPDATE EXCLUSIVE MODE")
        assert Writer(store).write("a") == 2


def test_an_append_waits_for_that_of_another_registrar_and_no_longer_than_it_may(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database, lock_timeout=0.1)) as store, session(postgres_database) as other:
        with other.transaction():
            other.execute("LOCK TABLE regista.log IN EXCLUSIVE MODE")
            for act in (lambda: Writer(store).write("a"), store.check_writable):
                with pytest.raises(Unavailable) as locked:
                    act()
                assert locked.value.code == "log_locked"
            assert store.max_position() == 1
        store.check_writable()
        assert Writer(store).write("a") == 2


def test_positions_of_removed_events_are_not_given_again(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database)) as store:
        filled(store)
        tamper(
            postgres_database,
            "DELETE FROM regista.events WHERE position > 10",
            "DELETE FROM regista.commands WHERE position > 10",
        )
        assert Writer(store, "later").write("d") == 13


def test_verify_finds_what_was_changed_behind_the_registrys_back(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database)) as store:
        filled(store)
        assert verify(store).ok
        tamper(postgres_database, "UPDATE regista.events SET state = state || '\\x00' WHERE position = 12")
        assert [(problem.kind, problem.position) for problem in verify(store).problems][:1] == [("unreadable", 12)]


@pytest.mark.parametrize("amcheck", [False, True], ids=["counting", "amcheck"])
def test_an_index_that_lost_a_row_is_noticed(postgres_database: str, *, amcheck: bool) -> None:
    ready = "UPDATE pg_index SET indisready = {} WHERE indrelid = 'regista.events'::regclass AND NOT indisprimary"
    with closing(PostgresLogStore(postgres_database)) as store:
        if amcheck:
            tamper(postgres_database, "CREATE EXTENSION amcheck")
        assert store.storage_problems() == []
        tamper(postgres_database, ready.format("false"))
        tamper(
            postgres_database,
            "INSERT INTO regista.events VALUES (2, 'model/a', 1, 't', '')",
            ready.format("true"),
        )
        [problem] = store.storage_problems()
        assert "originator_id" in problem or "events_originator_id" in problem


def test_a_log_moves_between_databases_by_export(postgres_database: str) -> None:
    importer = Importer("ops", "asserted", datetime.now(UTC))
    with fresh_database(postgres_database) as other, closing(PostgresLogStore(postgres_database)) as store:
        filled(store)
        lines = list(export_lines(store))
        with closing(PostgresLogStore(other)) as copy:
            report = import_lines(copy, lines, importer)
            assert (report.log_id, copy.log_id) == (store.log_id, store.log_id)
            assert copy.read(0, 100) == store.read(0, 100)
            assert verify(copy).ok
            assert Writer(copy, "later").write("d") == 13
            with pytest.raises(RegistaError, match="events of its own"):
                import_lines(copy, lines, importer)


def test_an_import_that_breaks_off_changes_nothing(postgres_database: str) -> None:
    with fresh_database(postgres_database) as other, closing(PostgresLogStore(postgres_database)) as store:
        filled(store)
        lines = list(export_lines(store))
        with closing(PostgresLogStore(other)) as copy:
            before = copy.log_id
            with pytest.raises(Invalid):
                import_lines(copy, [*lines[:5]], Importer("ops", "asserted", datetime.now(UTC)))
            assert (copy.log_id, copy.max_position()) == (before, 1)
            assert Writer(copy).write("d") == 2
