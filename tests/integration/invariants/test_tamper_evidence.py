"""Tamper evidence: any stored event that was edited, removed, inserted, moved or swapped is found and named."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, filled, tamper

from regista.domain.chain import Head, advance, event_hash
from regista.domain.errors import Malformed
from regista.domain.events import ModelRevived
from regista.store.append import CommandKey
from regista.store.birth import Importer
from regista.store.command_sets import command_sets
from regista.store.export import export_lines, import_lines
from regista.store.problems import Kind
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore
from regista.store.verify import VerifyReport, verify

NEWEST_OF_A = 10
"""The position of the newest event of model/a in a filled log; 12 is the newest of all."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file of a filled log that nobody has open."""
    store = filled(SQLiteLogStore(tmp_path))
    store.close()
    return tmp_path / "log.db"


def checked(path: Path, head: str | None = None) -> VerifyReport:
    reader = SQLiteLogReader(path)
    try:
        return verify(reader, head=head)
    finally:
        reader.close()


def places(report: VerifyReport) -> set[tuple[int, str]]:
    return {(problem.position, problem.kind.value) for problem in report.problems}


def head_at(path: Path, position: int) -> Head:
    reader = SQLiteLogReader(path)
    head = Head()
    for row in reader.read(1, 1000, position):
        head = advance(head, row)
    reader.close()
    return head


def hash_at(path: Path, position: int) -> str:
    reader = SQLiteLogReader(path)
    row = reader.row(position)
    reader.close()
    assert row is not None
    return event_hash(row.stream, row.sequence, row.value).hex()


def test_a_sound_log_has_no_problems_and_the_digest_of_all_its_rows(log: Path) -> None:
    report = checked(log)
    assert report.ok
    assert report.problems == ()
    assert report.head == head_at(log, 12)
    assert report.head.count == 12
    assert report.proven is None


@pytest.mark.parametrize("position", range(1, 13))
def test_an_edited_event_is_named_wherever_it_is(log: Path, position: int) -> None:
    tamper(
        log,
        "UPDATE events SET state = CAST(substr(state, 1, length(state) - 1) || 'z' AS BLOB) "
        f"WHERE position = {position}",
    )
    report = checked(log)
    assert not report.ok
    assert position in {problem.position for problem in report.problems}


@pytest.mark.parametrize("position", range(1, 13))
def test_a_removed_event_is_named_wherever_it_was(log: Path, position: int) -> None:
    stream = {1: "log/"}.get(position, "model/")
    tamper(log, f"DELETE FROM events WHERE position = {position}")
    report = checked(log)
    assert not report.ok
    named = {problem.position for problem in report.problems}
    in_a_set = {5: {5, 6}, 6: {5, 6}}.get(position, {position})
    assert named & in_a_set, (stream, report.problems)


def test_a_gap_in_a_stream_is_named_at_the_event_behind_it(log: Path) -> None:
    tamper(log, "DELETE FROM events WHERE position = 4", "DELETE FROM commands WHERE position = 4")
    [problem] = checked(log).problems
    assert (problem.position, problem.stream, problem.sequence, problem.kind) == (5, "model/a", 3, Kind.MISSING)
    assert str(problem).startswith("missing: position 5, model/a@3: sequences 2 to 2")


def test_an_inserted_event_is_named_even_when_the_sequences_behind_it_were_renumbered(log: Path) -> None:
    tamper(
        log,
        "UPDATE events SET originator_version = originator_version + 100 "
        "WHERE originator_id = 'model/a' AND originator_version >= 3",
        "UPDATE events SET originator_version = originator_version - 99 "
        "WHERE originator_id = 'model/a' AND originator_version >= 103",
        # Put it behind position 4, where there is room after all others moved up.
        "UPDATE events SET position = position + 1000 WHERE position >= 5",
        "INSERT INTO events SELECT 5, originator_id, 3, topic, state FROM events WHERE position = 4",
        "UPDATE events SET position = position - 999 WHERE position >= 1005",
    )
    # The copy carries the command of the event before it, which wrote one event, not two.
    assert {(5, "chain"), (4, "command")} <= places(checked(log))


def test_a_forged_event_with_a_right_chain_is_named_by_the_command_index(log: Path, tmp_path: Path) -> None:
    store = SQLiteLogStore(tmp_path)
    forged = Writer(store).event("a", CommandKey("mallory", "forged", bytes(32)), ModelRevived("a"))
    store.close()
    tamper(
        log,
        "INSERT INTO events (originator_id, originator_version, topic, state) VALUES "
        f"('model/a', {forged.originator_version}, '{forged.topic}', x'{forged.state.hex()}')",
    )
    [problem] = checked(log).problems
    assert (problem.position, problem.stream, problem.kind) == (13, "model/a", Kind.COMMAND)


def test_values_swapped_between_streams_are_both_named(log: Path) -> None:
    tamper(
        log,
        "CREATE TEMP TABLE four AS SELECT state FROM events WHERE position = 4",
        "UPDATE events SET state = (SELECT state FROM events WHERE position = 9) WHERE position = 4",
        "UPDATE events SET state = (SELECT state FROM four) WHERE position = 9",
    )
    named = {problem.position for problem in checked(log).problems}
    assert {4, 9} <= named


def test_places_swapped_between_streams_are_both_named(log: Path) -> None:
    # Position 9 is model/b@3, position 8 is model/a@4.
    tamper(
        log,
        "UPDATE events SET originator_id = 'x', originator_version = 1 WHERE position = 8",
        "UPDATE events SET originator_id = 'model/a', originator_version = 4 WHERE position = 9",
        "UPDATE events SET originator_id = 'model/b', originator_version = 3 WHERE position = 8",
    )
    report = checked(log)
    assert {(8, "chain"), (9, "chain"), (8, "edited"), (9, "edited")} <= places(report)


@pytest.mark.parametrize(("old", "new"), [(12, 99), (4, 13), (9, 14)])
def test_a_moved_event_is_named_at_its_new_position(log: Path, old: int, new: int) -> None:
    tamper(log, f"UPDATE events SET position = {new} WHERE position = {old}")
    assert (new, "order") in places(checked(log))


def test_a_changed_type_is_named(log: Path) -> None:
    tamper(log, "UPDATE events SET topic = 'regista.model.retired.v1' WHERE position = 4")
    [problem] = checked(log).problems
    assert (problem.position, problem.kind) == (4, Kind.TYPE)
    tamper(log, "UPDATE events SET topic = 'regista.unheard.of.v1' WHERE position = 4")
    [problem] = checked(log).problems
    assert (problem.position, problem.kind) == (4, Kind.TYPE)


@pytest.mark.parametrize(
    ("statement", "position", "kind"),
    [
        ("DELETE FROM commands WHERE position = 4", 4, Kind.COMMAND),
        ("UPDATE commands SET digest = zeroblob(32) WHERE position = 4", 4, Kind.COMMAND),
        ("UPDATE commands SET count = 1 WHERE position = 5", 5, Kind.COMMAND),
        ("UPDATE commands SET position = 3000 WHERE position = 4", 4, Kind.ORDER),
        ("UPDATE commands SET hash = zeroblob(32) WHERE position = 4", 4, Kind.EDITED),
        ("UPDATE commands SET actor = 'mallory' WHERE position = 4", 4, Kind.COMMAND),
        ("INSERT INTO commands VALUES ('ci', 'never', zeroblob(32), 4, 1, zeroblob(32))", 4, Kind.REMOVED),
    ],
)
def test_a_tampered_command_index_is_named(log: Path, statement: str, position: int, kind: Kind) -> None:
    tamper(log, statement)
    assert (position, kind.value) in places(checked(log))


def test_a_log_that_took_another_name_or_lost_its_creation_is_named(log: Path) -> None:
    tamper(log, "UPDATE log SET value = 'another'")
    [problem] = checked(log).problems
    assert problem.kind is Kind.CREATION
    tamper(log, "DELETE FROM events WHERE position = 1", "DELETE FROM commands WHERE position = 1")
    assert (2, "creation") in places(checked(log))


def test_a_missing_newest_event_shows_in_the_command_index_and_with_a_head(log: Path) -> None:
    head = head_at(log, 12)
    tamper(log, "DELETE FROM events WHERE position = 12")
    assert places(checked(log)) == {(12, "removed")}
    assert places(checked(log, head=str(head))) == {(12, "removed"), (12, "head")}


def test_an_end_cut_off_with_its_index_shows_only_with_a_head(log: Path) -> None:
    head = head_at(log, 12)
    event = hash_at(log, 12)
    tamper(log, "DELETE FROM events WHERE position >= 11", "DELETE FROM commands WHERE position >= 11")
    assert checked(log).ok
    for kept in (str(head), f"12:{event}"):
        [problem] = checked(log, head=kept).problems
        assert (problem.position, problem.kind) == (12, Kind.HEAD)
        assert "gone" in problem.detail


def test_a_rewritten_end_with_a_rewritten_index_shows_only_with_a_head(log: Path, tmp_path: Path) -> None:
    head, event = head_at(log, 12), hash_at(log, 12)
    tamper(log, "DELETE FROM events WHERE position = 12", "DELETE FROM commands WHERE position = 12")
    tamper(log, "UPDATE sqlite_sequence SET seq = 11")
    store = SQLiteLogStore(tmp_path)
    assert Writer(store, actor="mallory").write("b") == 12
    store.close()
    assert checked(log).ok
    for kept in (str(head), f"12:{event}"):
        [problem] = checked(log, head=kept).problems
        assert (problem.position, problem.kind) == (12, Kind.HEAD)


def test_a_head_proves_the_whole_log_or_one_stream(log: Path) -> None:
    assert checked(log, head=str(head_at(log, 7))).proven == "log"
    assert checked(log, head=f"7:{hash_at(log, 7)}").proven == "stream"
    assert checked(log, head=f"7:{hash_at(log, 7).upper()}").proven == "stream"
    assert checked(log, head=str(head_at(log, 12))).ok


@pytest.mark.parametrize("head", ["", "7", "7:", "7:abc", "-1:" + "0" * 64, "x:" + "0" * 64, "7:" + "g" * 64])
def test_a_head_of_another_form_is_refused(log: Path, head: str) -> None:
    with pytest.raises(Malformed):
        checked(log, head=head)


def test_a_damaged_page_is_named_and_the_events_on_other_pages_are_still_checked(tmp_path: Path) -> None:
    store = SQLiteLogStore(tmp_path)
    writer = Writer(store)
    store.append([writer.append(f"m{n % 50}") for n in range(2000)])
    store.close()
    path = tmp_path / "log.db"
    size = 4096
    middle = (path.stat().st_size // size // 2) * size
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\xff" * size)
    report = checked(path)
    assert not report.ok
    assert {Kind.STORAGE} <= {problem.kind for problem in report.problems}
    assert report.head.count > 1000


def test_an_unreadable_value_is_named_and_the_rest_is_checked(log: Path) -> None:
    tamper(log, "UPDATE events SET state = x'00' WHERE position = 4")
    report = checked(log)
    assert (4, "unreadable") in places(report)
    assert report.head.count == 12


def test_progress_ends_at_the_end(log: Path) -> None:
    seen: list[tuple[int, int]] = []
    reader = SQLiteLogReader(log)
    verify(reader, progress=lambda at, last: seen.append((at, last)))
    reader.close()
    assert seen[-1] == (12, 12)


def test_a_lost_command_index_is_made_again_from_the_events_by_an_import(log: Path, tmp_path: Path) -> None:
    reader = SQLiteLogReader(log)
    before = list(reader.commands())
    sets = list(command_sets(reader.read(1, 100)))
    reader.close()
    assert len(sets) == len(before) == 11
    tamper(log, "DELETE FROM commands WHERE position > 4", "UPDATE commands SET count = 7")
    assert not checked(log).ok
    with closing(SQLiteLogReader(log)) as damaged, closing(SQLiteLogStore(tmp_path / "repaired")) as repaired:
        import_lines(repaired, export_lines(damaged), Importer("admin", "asserted", datetime.now(UTC), None))
        assert list(repaired.commands()) == before
        assert verify(repaired).ok
