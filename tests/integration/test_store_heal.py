"""Either copy restores the other: a store is made equal to another copy of its log, byte for byte, positions included."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, filled, tamper

from regista.domain.chain import Row
from regista.domain.errors import Invalid, Refused
from regista.domain.events import LogHealed
from regista.store.birth import Importer
from regista.store.compare import compare
from regista.store.heal import GAP, Copy, HealReport, heal
from regista.store.log import LogReader, LogStore
from regista.store.mapper import AvroMapper
from regista.store.sqlite import SQLiteLogStore
from regista.store.verify import verify

BY = Importer("admin", "asserted", datetime(2026, 5, 1, tzinfo=UTC), "the disk died")
Open = Callable[[str], SQLiteLogStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the store in a folder by name."""
    stores: list[SQLiteLogStore] = []

    def open_it(name: str) -> SQLiteLogStore:
        stores.append(SQLiteLogStore(tmp_path / name))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Open) -> SQLiteLogStore:
    store = opened("store")
    filled(store)
    return store


def rows(store: LogReader) -> list[Row]:
    return store.read(1, 10_000)


def copy_of(store: LogReader, until: int | None = None) -> Copy:
    """What another copy has, as it is now."""
    kept = [row for row in rows(store) if until is None or row.position <= until]
    return Copy("kafka", store.log_id, lambda: iter(kept))


class Aside:
    """Takes what is put aside."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.calls = 0

    def __call__(self, rows: Iterable[Row]) -> None:
        self.calls += 1
        self.rows.extend(rows)


def healed(store: LogStore, copy: Copy, aside: Aside | None = None) -> HealReport:
    return heal(store, copy, BY, aside or Aside())


def event_of(row: Row) -> LogHealed:
    event = AvroMapper().from_row(row).event
    assert isinstance(event, LogHealed)
    return event


def test_a_lost_store_comes_back_with_the_same_bytes_and_positions(store: SQLiteLogStore, opened: Open) -> None:
    new, aside = opened("new"), Aside()
    report = healed(new, copy_of(store), aside)
    *restored, last = rows(new)
    assert restored == rows(store)
    assert new.log_id == store.log_id
    assert aside.calls == 0
    assert event_of(last) == LogHealed(store.log_id, "kafka", 12, 0, 12, 0)
    assert (report.kept, report.restored, report.quarantined, report.position) == (0, 12, 0, last.position)
    assert verify(new).ok


def test_a_gap_keeps_positions_that_may_have_been_answered_from_being_used_twice(
    store: SQLiteLogStore, opened: Open
) -> None:
    new = opened("new")
    healed(new, copy_of(store))
    assert new.max_position() == 12 + GAP + 1
    assert Writer(new, "later").write("later") == 12 + GAP + 2
    assert verify(new).ok


def test_a_store_that_fell_back_gets_what_it_lacks_and_keeps_what_it_has(
    store: SQLiteLogStore, opened: Open, tmp_path: Path
) -> None:
    old = rows(store)
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    Writer(store, "later").write("a", "b")
    backup = opened("backup")
    report = healed(backup, copy_of(store))
    assert rows(backup)[:-1] == rows(store)
    assert (report.kept, report.restored, report.quarantined) == (len(old), 2, 0)
    assert verify(backup).ok


def test_what_a_fork_wrote_is_put_aside_and_named(store: SQLiteLogStore, opened: Open, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "store", tmp_path / "fork")
    Writer(store, "true").write("a")
    fork = opened("fork")
    Writer(fork, "false").write("a")
    Writer(fork, "false too").write("c", "d")
    written = rows(fork)[12:]
    aside = Aside()
    report = healed(fork, copy_of(store), aside)
    assert aside.rows == written
    assert rows(fork)[:-1] == rows(store)
    assert (report.kept, report.restored, report.quarantined) == (12, 1, 3)
    assert fork.max_position() == written[-1].position + GAP + 1
    assert verify(fork).ok


def test_an_edited_event_is_put_aside_and_those_behind_it_are_not(
    store: SQLiteLogStore, opened: Open, tmp_path: Path
) -> None:
    copy = copy_of(store)
    store.close()
    tamper(tmp_path / "store" / "log.db", "UPDATE events SET state = x'00' WHERE position = 5")
    edited, aside = opened("store"), Aside()
    healed(edited, copy, aside)
    assert [row.position for row in aside.rows if row.value == b"\0"] == [5]
    assert len(aside.rows) < 5
    assert rows(edited)[:-1] == list(copy.rows())
    assert verify(edited).ok


def test_what_is_not_published_yet_stays(store: SQLiteLogStore) -> None:
    before = rows(store)
    report = healed(store, copy_of(store, until=8))
    assert rows(store) == before
    assert not report.healed
    assert (report.kept, report.unpublished) == (8, 4)


def test_an_equal_store_is_left_alone(store: SQLiteLogStore) -> None:
    before = rows(store)
    assert not healed(store, copy_of(store)).healed
    assert rows(store) == before


def test_the_store_of_another_log_is_refused(store: SQLiteLogStore, opened: Open) -> None:
    other = opened("other")
    filled(other)
    before = rows(other)
    with pytest.raises(Refused) as refused:
        healed(other, copy_of(store))
    assert refused.value.code == "foreign_log"
    assert rows(other) == before


def test_a_copy_that_does_not_hold_restores_nothing(store: SQLiteLogStore, opened: Open) -> None:
    new, kept = opened("new"), rows(store)
    before = rows(new)
    del kept[3]
    with pytest.raises(Invalid) as refused:
        healed(new, Copy("kafka", store.log_id, lambda: iter(kept)))
    assert refused.value.code == "copy_damaged"
    assert rows(new) == before


def test_healing_twice_adds_nothing_once_the_first_is_published(store: SQLiteLogStore, opened: Open) -> None:
    new = opened("new")
    healed(new, copy_of(store))
    assert not healed(new, copy_of(new)).healed


def test_a_comparison_names_what_either_copy_lacks_or_has_otherwise(store: SQLiteLogStore, opened: Open) -> None:
    kept = rows(store)
    changed = [*kept[:3], Row(4, kept[3].stream, kept[3].sequence, kept[3].type, kept[4].value), *kept[5:8]]
    report = compare(store, store.log_id, changed)
    assert {problem.position for problem in report.problems if problem.kind == "copy"} == {4, 5}
    assert report.unpublished == 4
    assert report.found > 2  # the chain of the copy is broken there as well
    equal = compare(store, store.log_id, kept)
    assert (equal.found, equal.unpublished, equal.head) == (0, 0, verify(store).head)
    foreign = compare(store, "another", kept)
    assert [problem.kind for problem in foreign.problems] == ["copy"]
    ahead = compare(opened("empty"), store.log_id, kept)
    assert ahead.found >= 12
