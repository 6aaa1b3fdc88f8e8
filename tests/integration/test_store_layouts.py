"""A log of an earlier release is brought to the layout of this one when it is opened to be written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.support.chained_log import Writer, filled

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
    assert (store.intake_offset("commands/0"), [row.outgoing for row in store.outcomes(0, 9)]) == (1, [told])
    store.close()


def test_a_log_of_the_first_layout_is_read_without_being_changed(tmp_path: Path) -> None:
    first_layout(tmp_path)
    before = (tmp_path / "log.db").read_bytes()
    reader = SQLiteLogReader(tmp_path / "log.db")
    assert (reader.intake_offset("commands/0"), reader.outcomes(0, 9), reader.max_outcome()) == (None, [], 0)
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


@pytest.mark.engine("postgres")
def test_a_database_of_the_first_layout_keeps_its_offsets_and_learns_the_last_records(postgres_database: str) -> None:
    store = filled(PostgresLogStore(postgres_database))
    store.append([Append((), None, {}, Intake("commands/0", 0, 7))])
    store.close()
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE regista.intake DROP COLUMN mark")
        connection.execute("UPDATE regista.log SET value = '1' WHERE key = 'schema_version'")
    with closing(PostgresLogReader(postgres_database)) as reader:
        assert reader.intake("commands/0") == Taken(7)
        with closing(PostgresLogStore(postgres_database)) as opened:
            assert (opened.intake("commands/0"), opened.max_position()) == (Taken(7), 12)
            opened.append([Append((), None, {}, Intake("commands/0", 7, 9, b"mark"))])
            assert (opened.intake("commands/0"), reader.intake_offset("commands/0")) == (Taken(9, b"mark"), 9)
