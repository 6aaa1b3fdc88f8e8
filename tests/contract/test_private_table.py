"""What every private table must do, whichever it is."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest

from regista.domain.errors import Damaged, Unavailable
from regista.store.postgres import PostgresPrivateTable
from regista.store.private import PrivateTable, fingerprint
from regista.store.sqlite.private import SQLitePrivateTable

Open: TypeAlias = Callable[[], PrivateTable]
SECRET = "s3cr3t-\u00e9\x00-" + "x" * 40


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def open_table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the table; the same one each time."""
    opened: list[PrivateTable] = []
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None

    def open_it() -> PrivateTable:
        table = SQLitePrivateTable(tmp_path / "private.db") if url is None else PostgresPrivateTable(url)
        opened.append(table)
        return table

    yield open_it
    for table in opened:
        table.close()


def test_what_is_put_is_there_for_whoever_opens_the_table(open_table: Open) -> None:
    before = datetime.now(UTC) - timedelta(seconds=60)
    open_table().put("1", "target/edge", "token", SECRET)
    again = open_table()
    assert again.get("1") == SECRET
    assert again.get("2") is None
    [entry] = again.entries()
    assert (entry.id, entry.owner, entry.name) == ("1", "target/edge", "token")
    assert before < entry.put_at < before + timedelta(seconds=120)
    assert SECRET not in repr(entry)


def test_what_is_erased_is_gone_and_the_rest_stays(open_table: Open) -> None:
    table = open_table()
    for number in range(3):
        table.put(str(number), "target/edge", "token", SECRET)
    table.erase(["0", "2", "never there"])
    table.erase([])
    assert [entry.id for entry in open_table().entries()] == ["1"]
    assert table.get("0") is None


def test_an_id_is_given_once(open_table: Open) -> None:
    table = open_table()
    table.put("1", "target/edge", "token", SECRET)
    with pytest.raises(Unavailable) as refused:
        table.put("1", "target/edge", "token", "another")
    assert refused.value.code == "private_unavailable"
    assert table.get("1") == SECRET


def test_the_key_is_made_once_however_many_open_the_table_at_once(open_table: Open) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: open_table().key(), range(8)))
    assert [len(key) for key in keys] == [32]


def test_threads_may_use_one_table_together(open_table: Open) -> None:
    table = open_table()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: table.put(f"{n:02}", "target/edge", "token", str(n)), range(24)))
        assert list(threads.map(lambda n: table.get(f"{n:02}"), range(24))) == [str(n) for n in range(24)]


def test_a_fingerprint_tells_the_same_secret_in_the_same_place_and_nothing_else() -> None:
    of = fingerprint(b"k" * 32, "target/edge", "token", SECRET)
    assert of == fingerprint(b"k" * 32, "target/edge", "token", SECRET)
    others = [
        fingerprint(b"K" * 32, "target/edge", "token", SECRET),
        fingerprint(b"k" * 32, "target/edge2", "token", SECRET),
        fingerprint(b"k" * 32, "target/edget", "oken", SECRET),
        fingerprint(b"k" * 32, "target/edge", "token", SECRET + "x"),
    ]
    assert len({of, *others}) == 5
    assert SECRET not in of


def test_the_file_is_its_owners_and_holds_nothing_that_was_erased(tmp_path: Path) -> None:
    path = tmp_path / "new" / "private.db"
    table = SQLitePrivateTable(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    large = "large" * 4_000
    for number, value in enumerate((SECRET, large)):
        table.put(str(number), "target/edge", "token", value)
    assert SECRET.encode() in path.read_bytes()
    table.erase(["0", "1"])
    assert [file.name for file in path.parent.iterdir()] == ["private.db"]
    content = path.read_bytes()
    assert SECRET.encode() not in content
    assert large[:100].encode() not in content


@pytest.mark.parametrize("newer", [False, True], ids=["another program's", "a newer release's"])
def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path, newer: bool) -> None:
    path = tmp_path / "private.db"
    if newer:
        SQLitePrivateTable(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("CREATE TABLE IF NOT EXISTS others (x)")
    before = path.read_bytes()
    with pytest.raises(Damaged) as refused:
        SQLitePrivateTable(path)
    assert refused.value.code == "not_private"
    assert path.read_bytes() == before


@pytest.mark.engine("postgres")
def test_a_schema_of_a_newer_release_is_left_alone(postgres_database: str) -> None:
    PostgresPrivateTable(postgres_database).close()
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("UPDATE regista_private.layout SET version = 99")
    with pytest.raises(Damaged):
        PostgresPrivateTable(postgres_database)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "private.db").mkdir()
    with pytest.raises(Unavailable) as refused:
        SQLitePrivateTable(tmp_path / "private.db")
    assert refused.value.code == "private_unavailable"


@pytest.mark.engine("postgres")
def test_a_password_in_the_address_is_not_told() -> None:
    with pytest.raises(Unavailable) as refused:
        PostgresPrivateTable("postgresql://ann:hunter22@127.0.0.1:1/none")
    assert "hunter22" not in str(refused.value)
