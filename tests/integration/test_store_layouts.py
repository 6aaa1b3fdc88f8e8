"""A log of an earlier release is brought to the layout of this one when it is opened to be written."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from tests.support.chained_log import Writer, filled

from regista.domain.errors import Damaged, Unavailable
from regista.store.append import Append, Intake, Outgoing, Taken
from regista.store.postgres import PostgresLogReader, PostgresLogStore
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore
from regista.store.sqlite.schema import SCHEMA_VERSION


def first_layout(data: Path) -> None:
    """Make the file what the first release wrote."""
    filled(SQLiteLogStore(data)).close()
    with closing(sqlite3.connect(data / "log.db")) as connection, connection:
        connection.execute("DROP TABLE intake")
        connection.execute("DROP TABLE outcomes")
        connection.execute("PRAGMA user_version = 1")


def second_layout(data: Path) -> None:
    """Make the file what a release wrote that knew queues by their offsets alone."""
    store = filled(SQLiteLogStore(data))
    store.append([Append((), None, {}, Intake("commands/0", 0, 7))])
    store.close()
    with closing(sqlite3.connect(data / "log.db")) as connection, connection:
        connection.execute("ALTER TABLE intake DROP COLUMN mark")
        connection.execute("PRAGMA user_version = 2")


def layout_of(data: Path) -> int:
    with closing(sqlite3.connect(data / "log.db")) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_log_of_the_first_layout_goes_on_and_takes_commands_in(tmp_path: Path) -> None:
    first_layout(tmp_path)
    store = SQLiteLogStore(tmp_path)
    assert layout_of(tmp_path) == SCHEMA_VERSION
    assert store.max_position() == 12
    told = Outgoing("result", b"k", b"v", (), 0)
    store.append([Append((), None, {}, Intake("commands/0", 0, 1), (told,))])
    assert Writer(store, "later").write("a") == 13
    store.close()
    store = SQLiteLogStore(tmp_path)
    assert (store.intake("commands/0"), [row.outgoing for row in store.outcomes(0, 9)]) == (Taken(1), [told])
    store.close()


def test_a_log_of_the_first_layout_is_read_without_being_changed(tmp_path: Path) -> None:
    first_layout(tmp_path)
    before = (tmp_path / "log.db").read_bytes()
    reader = SQLiteLogReader(tmp_path / "log.db")
    assert (reader.intake("commands/0"), reader.outcomes(0, 9), reader.max_outcome()) == (None, [], 0)
    assert len(reader.read(0, 100)) == 12
    reader.close()
    assert layout_of(tmp_path) == 1
    assert (tmp_path / "log.db").read_bytes() == before


def test_a_log_of_the_second_layout_keeps_its_offsets_and_learns_the_last_records(tmp_path: Path) -> None:
    second_layout(tmp_path)
    reader = SQLiteLogReader(tmp_path / "log.db")
    assert reader.intake("commands/0") == Taken(7)
    reader.close()
    assert layout_of(tmp_path) == 2
    store = SQLiteLogStore(tmp_path)
    assert (layout_of(tmp_path), store.intake("commands/0")) == (SCHEMA_VERSION, Taken(7))
    store.append([Append((), None, {}, Intake("commands/0", 7, 9, b"mark"))])
    assert store.intake("commands/0") == Taken(9, b"mark")
    store.close()


def first_layout_of_a_database(url: str) -> None:
    """Make the database what a release wrote that knew queues by their offsets alone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE regista.intake DROP COLUMN mark")
        connection.execute("UPDATE regista.log SET value = '1' WHERE key = 'schema_version'")


@pytest.mark.engine("postgres")
def test_a_database_of_the_first_layout_keeps_its_offsets_and_learns_the_last_records(postgres_database: str) -> None:
    store = filled(PostgresLogStore(postgres_database))
    store.append([Append((), None, {}, Intake("commands/0", 0, 7))])
    store.close()
    first_layout_of_a_database(postgres_database)
    with closing(PostgresLogReader(postgres_database)) as reader:
        assert reader.intake("commands/0") == Taken(7)
        with closing(PostgresLogStore(postgres_database)) as opened:
            assert (opened.intake("commands/0"), opened.max_position()) == (Taken(7), 12)
            opened.append([Append((), None, {}, Intake("commands/0", 7, 9, b"mark"))])
            assert (opened.intake("commands/0"), reader.intake("commands/0")) == (Taken(9, b"mark"), Taken(9))


def sessions_that_wait(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        [[count]] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchall()
        return int(count)


@pytest.mark.engine("postgres")
def test_a_migration_waits_for_the_append_of_an_older_registrar_and_does_not_stand_in_its_way(
    postgres_database: str,
) -> None:
    filled(PostgresLogStore(postgres_database)).close()
    first_layout_of_a_database(postgres_database)

    def migrate() -> int:
        with closing(PostgresLogStore(postgres_database, lock_timeout=30)) as store:
            return store.max_position()

    with ThreadPoolExecutor(1) as threads:
        with psycopg.connect(postgres_database) as append:
            append.execute("SET lock_timeout = '10s'")
            append.execute("LOCK TABLE regista.log IN EXCLUSIVE MODE")
            migrating = threads.submit(migrate)
            deadline = monotonic() + 20
            while sessions_that_wait(postgres_database) == 0:
                assert monotonic() < deadline, "the migration does not wait for the append"
            assert append.execute("SELECT next_offset FROM regista.intake").fetchall() == []
            append.execute("INSERT INTO regista.intake VALUES ('commands/0', 1)")
        assert migrating.result(30) == 12
    with closing(PostgresLogReader(postgres_database)) as reader:
        assert reader.intake("commands/0") == Taken(1)


@pytest.mark.engine("postgres")
def test_a_layout_that_a_later_release_added_to_stops_no_running_registrar_but_its_next_start(
    postgres_database: str,
) -> None:
    with closing(PostgresLogStore(postgres_database)) as running:
        filled(running)
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute("ALTER TABLE regista.intake ADD COLUMN later TEXT")
            connection.execute("UPDATE regista.log SET value = '99' WHERE key = 'schema_version'")
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
        running.check_writable()
        assert Writer(running, "later").write("d") == 13
        assert running.prune_outcomes(1, 1) == 0
        with pytest.raises(Damaged) as refused:
            PostgresLogStore(postgres_database)
        assert refused.value.code == "log_too_new"
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute("INSERT INTO regista.log VALUES ('replaced', '1')")
        with pytest.raises(Unavailable) as replaced:
            running.check_writable()
        assert replaced.value.code == "log_replaced"
