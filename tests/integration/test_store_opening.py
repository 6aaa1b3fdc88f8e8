"""Opening a data directory: alone in it, only what is a log, of this release or an older one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, filled

from regista.domain.errors import Damaged, NotFound, Unavailable
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore

HOLDER = """
import sys
from pathlib import Path
from regista.store.sqlite import SQLiteLogStore
store = SQLiteLogStore(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_a_data_directory_has_one_registrar_and_the_error_names_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(Unavailable) as caught:
            SQLiteLogStore(tmp_path)
        assert caught.value.code == "data_in_use"
        assert str(holder.pid) in caught.value.detail
        reader = SQLiteLogReader(tmp_path / "log.db")
        assert reader.max_position() == 1
        reader.close()
        holder.kill()
    SQLiteLogStore(tmp_path).close()


def test_the_same_process_cannot_open_a_data_directory_twice(tmp_path: Path) -> None:
    store = SQLiteLogStore(tmp_path)
    with pytest.raises(Unavailable, match="data_in_use"):
        SQLiteLogStore(tmp_path)
    assert store.max_position() == 1
    store.close()
    SQLiteLogStore(tmp_path).close()


def test_every_commit_is_synced_and_readers_do_not_block(tmp_path: Path) -> None:
    store = SQLiteLogStore(tmp_path)
    with store._datastore.transaction(commit=True) as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 2
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "wal"
        # The write lock is held now.
        assert store.max_position() == 1
    store.close()


def test_positions_survive_a_dump_and_restore(tmp_path: Path) -> None:
    store = filled(SQLiteLogStore(tmp_path / "one"))
    rows = store.read(1, 100)
    store.close()
    path = tmp_path / "one" / "log.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM events WHERE position = 3")
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(tmp_path / "restored.db")) as new:
        new.executescript("\n".join(old.iterdump()))
        kept = [position for (position,) in new.execute("SELECT position FROM events ORDER BY position")]
    assert kept == [row.position for row in rows if row.position != 3]


def test_a_position_is_never_given_twice(tmp_path: Path) -> None:
    store = SQLiteLogStore(tmp_path)
    assert [Writer(store).write("a"), Writer(store, "x").write("a")] == [2, 3]
    store.close()
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection, connection:
        connection.execute("DELETE FROM events WHERE position = 3")
    store = SQLiteLogStore(tmp_path)
    assert Writer(store, "y").write("a") == 4
    store.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE notes (text)")
    for opening in (partial(SQLiteLogStore, tmp_path), partial(SQLiteLogReader, path)):
        with pytest.raises(Damaged) as caught:
            opening()
        assert caught.value.code == "not_a_log"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("notes",)]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"not a database at all, but long enough to look at" * 100)
    with pytest.raises(Damaged, match=r"log\.db"):
        SQLiteLogStore(tmp_path)


def test_a_log_of_a_later_release_is_not_touched(tmp_path: Path) -> None:
    SQLiteLogStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Damaged) as caught:
        SQLiteLogStore(tmp_path)
    assert caught.value.code == "log_too_new"


def test_reading_where_there_is_no_log_creates_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        SQLiteLogReader(tmp_path / "log.db")
    assert list(tmp_path.iterdir()) == []
