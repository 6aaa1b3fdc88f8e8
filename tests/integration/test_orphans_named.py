"""Which bytes the log names, read from its events and from each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent
from tests.support.chained_log import tamper
from tests.support.histories import History, digest

from regista.domain import commands as c
from regista.domain import metadata as m
from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.domain.events import Origin
from regista.processes.orphans import NamedDigests
from regista.store.append import Append
from regista.store.birth import Importer
from regista.store.command_sets import command_of, command_sets
from regista.store.export import export_lines, import_lines
from regista.store.sqlite import SQLiteLogStore

ORIGIN = Origin("mlflow", "7")


class Counting(SQLiteLogStore):
    """Counts the rows that are read."""

    rows_read = 0

    def read(self, from_position: int, limit: int, stop: int | None = None) -> list[Row]:
        rows = super().read(from_position, limit, stop)
        self.rows_read += len(rows)
        return rows


@pytest.fixture
def history() -> History:
    history = History()
    history.register_model("fraud")
    return history


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    with closing(Counting(tmp_path)) as store:
        yield store


def follow(store: SQLiteLogStore, history: History) -> None:
    """Append to the store what the history has beyond it; an empty one takes it over."""
    if store.log_id != history.log_id:
        store.adopt(command_sets(history.rows), history.log_id)
    for rows in history.sets:
        if rows[0].position > store.max_position() and (command := command_of(rows[0])) is not None:
            events = tuple(StoredEvent(row.stream, row.sequence, row.type, row.value) for row in rows)
            store.append([Append(events, command)])


def test_manifests_scripts_and_data_are_named_whenever_they_came(store: Counting, history: History) -> None:
    code = m.Code(snapshot=digest("script"))
    history.register("fraud", 1, code=code, features=(m.FeatureSet("velocity", None, digest("features")),))
    history.do(c.RecordEvaluation("fraud", "1.0.0", {"auc": 0.8}, m.Dataset("fresh", None, None, digest("fresh"))))
    history.register("fraud", 2, code=None, datasets=(), origin=ORIGIN)
    late = m.Dataset("late", None, None, digest("late data"))
    history.do(c.UpdateVersion("fraud", "2", code=m.Code(snapshot=digest("late script")), datasets=(late,)))
    follow(store, history)

    texts = ("fraud-1", "script", "features", "fresh", "1", "fraud-2", "late data", "late script")
    assert NamedDigests(store).read() == {digest(text) for text in texts}


def test_each_event_is_read_once(store: Counting, history: History) -> None:
    history.register("fraud", 1)
    follow(store, history)
    named = NamedDigests(store)
    first = named.read()
    store.rows_read = 0
    history.register("fraud", 2)
    follow(store, history)

    assert named.read() - first == {digest("fraud-2"), digest("2")}
    assert store.rows_read == 1
    assert first < named.read()
    assert store.rows_read == 1


def test_a_log_that_was_imported_meanwhile_is_read_from_its_beginning(
    store: Counting, history: History, tmp_path: Path
) -> None:
    named = NamedDigests(store)
    assert named.read() == set()
    history.register("fraud", 1)
    with closing(SQLiteLogStore(tmp_path / "source")) as source:
        follow(source, history)
        import_lines(store, export_lines(source), Importer("ci", "asserted", datetime.now(UTC), None))

    assert digest("fraud-1") in named.read()


@pytest.mark.parametrize("change", ["state = x'c301'", "topic = 'regista.version.registered.v9'"])
def test_what_cannot_be_read_may_name_anything(tmp_path: Path, history: History, change: str) -> None:
    history.register("fraud", 1)
    with closing(SQLiteLogStore(tmp_path)) as store:
        follow(store, history)
        tamper(tmp_path / "log.db", f"UPDATE events SET {change} WHERE position = 3")
        with pytest.raises(Damaged):
            NamedDigests(store).read()
