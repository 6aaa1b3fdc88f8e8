"""Views survive the end of a process as they are, and are made anew after the machine went down under a writer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from regista.projections.catalogue import Entry
from regista.projections.database import ViewsDatabase
from regista.projections.views.catalogue import VIEWS

BEFORE, AFTER = "boot-1", "boot-2"


def written(path: Path, boot: str) -> ViewsDatabase:
    database = ViewsDatabase(path, boot)
    database.create(VIEWS[0], Entry(VIEWS[0].name, VIEWS[0].version, 1, "building"))
    return database


def count(path: Path, boot: str) -> int:
    database = ViewsDatabase(path, boot)
    try:
        return len(database.entries())
    finally:
        database.close()


def synchronous(database: ViewsDatabase) -> int:
    return int(database._connection.execute("PRAGMA synchronous").fetchone()[0])


def write_and_die(path: Path) -> None:
    written(path, BEFORE)
    os.kill(os.getpid(), signal.SIGKILL)


def killed(path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=write_and_die, args=(path,))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL


def test_a_killed_writer_leaves_its_views(tmp_path: Path) -> None:
    killed(tmp_path / "views.db")
    assert count(tmp_path / "views.db", BEFORE) == 1


def test_views_under_a_writer_when_the_machine_went_down_are_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path / "views.db")
    assert count(tmp_path / "views.db", AFTER) == 0
    assert "the machine went down" in caplog.text


def test_views_that_were_closed_survive_a_restart_of_the_machine(tmp_path: Path) -> None:
    written(tmp_path / "views.db", BEFORE).close()
    assert count(tmp_path / "views.db", AFTER) == 1


def test_the_mark_is_in_the_file_itself_before_anything_is_written_without_waiting(tmp_path: Path) -> None:
    database = ViewsDatabase(tmp_path / "views.db", BEFORE)
    assert synchronous(database) == 0
    (tmp_path / "copy.db").write_bytes((tmp_path / "views.db").read_bytes())  # without the write-ahead log
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM about WHERE name = 'written_by'").fetchone() == (1,)
    copy.close()
    database.close()


def test_a_mark_that_a_reader_keeps_from_the_file_gives_no_leave_to_write_without_waiting(tmp_path: Path) -> None:
    database = written(tmp_path / "views.db", BEFORE)
    reader = database.reader()
    reader.begin()
    database.create(VIEWS[1], Entry(VIEWS[1].name, VIEWS[1].version, 1, "building"))
    second = ViewsDatabase(tmp_path / "views.db", BEFORE)
    assert synchronous(second) == 1
    reader.close()
    second.close()
    database.close()


def test_the_first_of_two_writers_to_close_does_not_vouch_for_the_other(tmp_path: Path) -> None:
    first, second = written(tmp_path / "views.db", BEFORE), ViewsDatabase(tmp_path / "views.db", BEFORE)
    first.close()
    assert synchronous(second) == 0
    with sqlite3.connect(tmp_path / "views.db") as look:
        assert look.execute("SELECT count(*) FROM about WHERE name = 'written_by'").fetchone() == (1,)
    look.close()
    second.close()


def test_a_file_that_another_process_holds_locked_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regista.projections.database._BUSY_SECONDS", 0.01)
    written(tmp_path / "views.db", BEFORE).close()
    holder = sqlite3.connect(tmp_path / "views.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ViewsDatabase(tmp_path / "views.db", BEFORE)
    holder.close()
    assert count(tmp_path / "views.db", BEFORE) == 1
