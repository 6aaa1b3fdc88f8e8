"""The conformance suite of the log store: every implementation passes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

from regista.domain.chain import Row, event_hash
from regista.domain.errors import Refused
from regista.store.append import Append, CommandKey, Conflict, Duplicate, Intake, IntakeMoved, Outgoing, Taken
from regista.store.command_sets import CommandSet
from regista.store.log import LogStore
from regista.store.postgres import PostgresLogStore
from regista.store.sqlite import SQLiteLogStore

Open = Callable[[], LogStore]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the same log again and again; only one at a time."""
    opened: list[LogStore] = []
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None

    def open_it() -> LogStore:
        for store in opened:
            store.close()
        opened.append(SQLiteLogStore(tmp_path / "data") if url is None else PostgresLogStore(url))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Open) -> LogStore:
    return reopen()


def key(command: str, actor: str = "ci") -> CommandKey:
    return CommandKey(actor, command, command.encode().ljust(32, b"."))


def event(stream: str, sequence: int, value: bytes = b"value") -> StoredEvent:
    return StoredEvent(stream, sequence, "regista.model.registered.v1", value)


def one(stream: str, sequence: int, command: str, reads: dict[str, int] | None = None) -> Append:
    return Append((event(stream, sequence, command.encode()),), key(command), reads or {})


def everything(store: LogStore) -> list[Row]:
    return store.read(0, 10_000)


def test_streams_are_found_by_what_their_ids_begin_with(store: LogStore) -> None:
    for number, stream in enumerate(("endpoint/prod/b", "endpoint/prod/a", "endpoint/prod-eu/a", "endpoint/Prod/a")):
        store.append([one(stream, 1, f"created {number}"), one(stream, 2, f"changed {number}")])
    assert store.streams("endpoint/prod/") == ["endpoint/prod/a", "endpoint/prod/b"]
    assert store.streams("endpoint/") == ["endpoint/Prod/a", "endpoint/prod-eu/a", "endpoint/prod/a", "endpoint/prod/b"]
    assert store.streams("target/") == []


def test_a_new_log_begins_with_its_creation_and_keeps_its_identity(reopen: Open) -> None:
    store = reopen()
    [row] = everything(store)
    assert (row.position, row.sequence, row.type) == (1, 1, "regista.log.created.v1")
    assert row.stream == f"log/{store.log_id}"
    again = reopen()
    assert again.log_id == store.log_id
    assert everything(again) == [row]


def test_an_append_answers_the_position_of_the_first_event_of_each_command(store: LogStore) -> None:
    two = Append((event("model/a", 1), event("model/b", 1)), key("two"))
    assert store.append([one("model/c", 1, "first"), two, one("model/c", 2, "last")]) == [2, 3, 5]
    assert [(row.position, row.stream, row.sequence) for row in everything(store)[1:]] == [
        (2, "model/c", 1),
        (3, "model/a", 1),
        (4, "model/b", 1),
        (5, "model/c", 2),
    ]
    assert store.append([]) == []


def test_what_was_appended_is_there_after_a_restart_byte_for_byte(reopen: Open) -> None:
    value = bytes(range(256)) * 10
    reopen().append([Append((event("model/ä☃", 1, value),), key("c"))])
    assert reopen().last() == Row(2, "model/ä☃", 1, "regista.model.registered.v1", value)


@pytest.mark.parametrize("sequence", [1, 3, 4])
def test_an_event_that_is_not_the_next_of_its_stream_is_a_conflict(store: LogStore, sequence: int) -> None:
    store.append([one("model/a", 1, "first")])
    with pytest.raises(Conflict) as caught:
        store.append([one("model/b", 1, "beside"), one("model/a", sequence, "late")])
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("model/a", sequence - 1, 1)
    assert store.max_position() == 2
    assert store.find_command("ci", "beside") is None
    assert store.append([one("model/a", 2, "late")]) == [3]


def test_a_read_that_moved_is_a_conflict_and_nothing_is_appended(store: LogStore) -> None:
    store.append([one("policy/p", 1, "p1"), one("policy/p", 2, "p2")])
    with pytest.raises(Conflict):
        store.append([one("model/a", 1, "a", {"policy/p": 1})])
    with pytest.raises(Conflict):
        store.append([one("model/a", 1, "a", {"policy/absent": 1})])
    with pytest.raises(Conflict):
        store.append([one("model/a", 1, "a", {"policy/p": 0})])
    assert store.max_position() == 3
    assert store.append([one("model/a", 1, "a", {"policy/p": 2, "policy/absent": 0})]) == [4]


def test_a_read_sees_what_an_earlier_append_of_the_same_batch_wrote(store: LogStore) -> None:
    assert store.append([one("policy/p", 1, "p"), one("model/a", 1, "a", {"policy/p": 1})]) == [2, 3]
    with pytest.raises(Conflict):
        store.append([one("policy/p", 2, "p2"), one("model/a", 2, "a2", {"policy/p": 1})])


def test_a_command_is_appended_once_for_each_actor(store: LogStore) -> None:
    store.append([one("model/a", 1, "same")])
    with pytest.raises(Duplicate) as caught:
        store.append([one("model/b", 1, "other"), one("model/a", 2, "same")])
    assert (caught.value.actor, caught.value.command_id) == ("ci", "same")
    with pytest.raises(Duplicate):
        store.append([one("model/b", 1, "twice"), one("model/b", 2, "twice")])
    assert store.max_position() == 2
    assert store.append([Append((event("model/a", 2),), key("same", actor="another"))]) == [3]


def test_a_command_is_found_with_its_events_after_a_restart(reopen: Open) -> None:
    store = reopen()
    store.append([one("model/x", 1, "x"), Append((event("model/a", 1), event("model/b", 1)), key("set"))])
    store = reopen()
    found = store.find_command("ci", "set")
    assert found is not None
    assert (found.digest, found.position, found.count) == (key("set").digest, 3, 2)
    assert [row.stream for row in store.rows_of_command(found)] == ["model/a", "model/b"]
    assert store.find_command("ci", "unknown") is None
    assert store.find_command("other", "set") is None
    assert store.find_commands([("ci", "set"), ("other", "set"), ("ci", "unknown")]) == {("ci", "set"): found}
    assert store.find_commands([]) == {}
    assert [(actor, command) for actor, command, _ in store.commands()] == [
        ("ci", "set"),
        ("ci", "x"),
        ("system", "log-created"),
    ]


def test_reading_is_inclusive_of_both_ends(store: LogStore) -> None:
    store.append([one("model/a", n, str(n)) for n in range(1, 8)])
    assert [row.position for row in store.read(3, 100, 5)] == [3, 4, 5]
    assert [row.position for row in store.read(3, 2)] == [3, 4]
    assert store.read(9, 10) == []
    assert store.row(9) is None
    row = store.row(8)
    assert row is not None
    assert row == store.last()
    assert store.max_position() == 8


def test_a_stream_is_loaded_in_order_between_two_sequences(store: LogStore) -> None:
    store.append(
        [append for n in range(1, 1301) for append in (one("model/a", n, f"a{n}"), one("model/b", n, f"b{n}"))]
    )
    assert [row.sequence for row in store.load("model/a")] == list(range(1, 1301))
    assert [row.sequence for row in store.load("model/a", 1290)] == list(range(1291, 1301))
    assert [row.sequence for row in store.load("model/a", 10, 13)] == [11, 12, 13]
    assert {row.stream for row in store.load("model/b")} == {"model/b"}
    assert list(store.load("model/nothing")) == []


def test_a_large_batch_is_one_transaction(store: LogStore) -> None:
    batch = [one(f"model/{n}", 1, str(n)) for n in range(1000)]
    assert store.append(batch) == list(range(2, 1002))
    with pytest.raises(Conflict):
        store.append([one(f"model/{n}", 2, f"again {n}") for n in range(999)] + [one("model/999", 1, "late")])
    assert store.max_position() == 1001


def outgoing(name: str, time_ms: int = 1000) -> Outgoing:
    """An outcome with what Kafka allows: a header twice, one without a value, bytes that are no text."""
    headers = (
        ("regista_source", b"commands/0/7"),
        ("twice", b"1"),
        ("twice", b""),
        ("none", None),
        ("raw", b"\xff\x00"),
    )
    return Outgoing("result", name.encode(), b"\xc3\x01" + name.encode(), headers, time_ms)


def taken(source: str, before: int, after: int, *names: str, rows: tuple[StoredEvent, ...] = ()) -> Append:
    command = key(f"{source}@{before}") if rows else None
    return Append(rows, command, {}, Intake(source, before, after), tuple(map(outgoing, names)))


def test_events_intake_and_outcomes_of_a_command_come_to_exist_together(reopen: Open) -> None:
    store = reopen()
    assert store.intake("commands/0") is None
    assert (store.outcomes(0, 10), store.max_outcome()) == ([], 0)
    two = (event("model/a", 1), event("model/b", 1))
    assert store.append([taken("commands/0", 0, 8, "done", rows=two), taken("commands/1", 0, 3, "refused")]) == [2, 0]
    store = reopen()
    assert (store.intake("commands/0"), store.intake("commands/1")) == (Taken(8), Taken(3))
    done, refused = store.outcomes(0, 10)
    assert (done.outgoing, done.position) == (outgoing("done"), 3)
    assert (refused.outgoing, refused.position) == (outgoing("refused"), None)
    assert 0 < done.id < refused.id == store.max_outcome()


def test_a_queue_is_taken_in_once_whoever_believes_to_be_its_taker(store: LogStore) -> None:
    store.append([taken("commands/0", 0, 5, "first")])
    late = taken("commands/0", 0, 5, "zombie", rows=(event("model/a", 1),))
    with pytest.raises(IntakeMoved) as caught:
        store.append([one("model/b", 1, "beside"), late])
    assert (caught.value.source, caught.value.expected, caught.value.actual) == ("commands/0", 0, 5)
    assert store.max_position() == 1
    assert store.intake("commands/0") == Taken(5)
    assert [row.outgoing.key for row in store.outcomes(0, 10)] == [b"first"]
    with pytest.raises(IntakeMoved):
        store.append([taken("commands/1", 1, 2)])


def test_the_intakes_of_a_batch_follow_each_other(store: LogStore) -> None:
    chain = [taken("commands/0", 0, 1, "a"), taken("commands/1", 0, 4), taken("commands/0", 1, 7, "b")]
    store.append(chain)
    assert (store.intake("commands/0"), store.intake("commands/1")) == (Taken(7), Taken(4))
    with pytest.raises(IntakeMoved):
        store.append([taken("commands/0", 7, 8), taken("commands/0", 7, 9)])
    assert store.intake("commands/0") == Taken(7)
    store.append([taken("commands/0", 7, 2)])
    assert store.intake("commands/0") == Taken(2)


def test_a_moved_queue_is_told_before_what_its_next_taker_did_with_the_command(store: LogStore) -> None:
    store.append([taken("commands/0", 0, 5, rows=(event("model/a", 1),))])
    with pytest.raises(IntakeMoved):
        store.append([taken("commands/0", 0, 5, rows=(event("model/a", 1),))])


def test_a_queue_is_known_by_the_last_record_taken_in(reopen: Open) -> None:
    store = reopen()
    assert store.intake("commands/0") is None

    def marked(before: int, after: int, mark: bytes | None) -> Append:
        return Append((), None, {}, Intake("commands/0", before, after, mark))

    store.append([marked(0, 1, b"first"), marked(1, 5, b"\x00second"), taken("commands/1", 0, 2)])
    store = reopen()
    assert (store.intake("commands/0"), store.intake("commands/1")) == (Taken(5, b"\x00second"), Taken(2))
    with pytest.raises(IntakeMoved):
        store.append([marked(1, 6, b"of a zombie")])
    assert store.intake("commands/0") == Taken(5, b"\x00second")
    store.append([marked(5, 0, None)])
    assert store.intake("commands/0") == Taken(0)


def test_an_offset_that_a_queue_made_anew_has_reached_again_is_not_the_one_that_a_frozen_taker_knows(
    store: LogStore,
) -> None:
    def marked(before: int, after: int, mark: bytes | None, before_mark: bytes) -> Append:
        return Append((), None, {}, Intake("commands/0", before, after, mark, before_mark), (outgoing("told"),))

    store.append([marked(0, 5, b"old", b"")])
    store.append([marked(5, 0, b"anew", b"old")])
    with pytest.raises(IntakeMoved):
        store.append([marked(0, 1, b"old, by who began with it", b"")])
    store.append([marked(0, 4, b"new", b"anew"), marked(4, 5, b"newer", b"new")])
    with pytest.raises(IntakeMoved) as caught:
        store.append([marked(5, 6, b"old, by who was frozen", b"old")])
    assert (caught.value.expected, caught.value.actual) == (5, 5)
    with pytest.raises(IntakeMoved):
        store.append([marked(5, 6, b"x", b"newer"), marked(6, 7, b"y", b"newer")])
    assert store.intake("commands/0") == Taken(5, b"newer")
    assert len(store.outcomes(0, 10)) == 4
    store.append([marked(5, 6, b"next", b"newer")])
    assert store.intake("commands/0") == Taken(6, b"next")


def test_a_refusal_rests_on_what_it_read(store: LogStore) -> None:
    store.append([one("model/a", 1, "a")])
    intake = Intake("commands/0", 0, 1)
    with pytest.raises(Conflict):
        store.append([Append((), None, {"model/a": 0}, intake, (outgoing("refused"),))])
    assert store.intake("commands/0") is None
    store.append([Append((), None, {"model/a": 1}, intake, (outgoing("refused"),))])
    assert [row.outgoing.key for row in store.outcomes(0, 10)] == [b"refused"]


def test_a_conflict_elsewhere_in_the_batch_takes_nothing_in(store: LogStore) -> None:
    with pytest.raises(Conflict):
        store.append([taken("commands/0", 0, 1, "told"), one("model/a", 2, "late")])
    assert store.intake("commands/0") is None
    assert store.outcomes(0, 10) == []


def test_outcomes_are_read_inclusively_and_pruned_by_id_and_age(reopen: Open) -> None:
    store = reopen()
    store.append([Append((), None, outcomes=tuple(outgoing(str(n), n) for n in range(6)))])
    ids = [row.id for row in store.outcomes(0, 10)]
    assert [row.id for row in store.outcomes(ids[2], 2)] == ids[2:4]
    assert store.prune_outcomes(ids[5], 3) == 3
    assert [row.id for row in store.outcomes(0, 10)] == ids[3:]
    assert store.prune_outcomes(ids[4], 100, limit=10) == 1
    assert store.prune_outcomes(ids[5] + 1, 100, limit=1) == 1
    assert store.prune_outcomes(ids[5] + 1, 100) == 1
    store = reopen()
    assert store.outcomes(0, 10) == []
    store.append([Append((), None, outcomes=(outgoing("next"),))])
    assert store.max_outcome() > ids[-1]


def test_an_outcome_may_lack_key_and_value(store: LogStore) -> None:
    bare = Outgoing("dead-letter", None, None, (), 0)
    store.append([Append((), None, outcomes=(bare,))])
    assert [row.outgoing for row in store.outcomes(0, 1)] == [bare]


def test_an_append_holds_events_of_a_command_or_something_to_take_in_or_tell() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Append((), None)
    with pytest.raises(ValueError, match="command"):
        Append((), key("c"), outcomes=(outgoing("x"),))
    with pytest.raises(ValueError, match="command"):
        Append((event("model/a", 1),), None)
    with pytest.raises(ValueError, match="nothing"):
        Intake("commands/0", 3, 3)


def test_the_end_of_a_log_is_replaced_with_the_positions_given_or_nothing_is(store: LogStore) -> None:
    store.append([one("model/a", 1, "first"), one("model/a", 2, "second"), one("model/b", 1, "third")])
    before = everything(store)
    kept, replaced = before[:2], before[2]
    other = Row(1_000_000, replaced.stream, replaced.sequence, replaced.type, b"other")

    def broken() -> Iterator[CommandSet]:
        yield CommandSet(key("healed"), (other,))
        raise ValueError("the source ends in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        store.restore(kept[-1].position, broken(), store.log_id, end=before[-1].position)
    assert everything(store) == before
    store.restore(kept[-1].position, [CommandSet(key("healed"), (other,))], "another-log", end=before[-1].position)
    assert everything(store) == [*kept, other]
    assert store.log_id == "another-log"
    assert store.find_command("ci", "second") is None
    assert store.find_command("ci", "healed") is not None
    assert store.append([one("model/a", 3, "next")]) == [1_000_001]


def test_the_end_of_a_log_that_has_grown_since_it_was_looked_at_is_not_replaced(store: LogStore) -> None:
    [looked_at] = store.append([one("model/a", 1, "first")])
    store.append([one("model/b", 1, "answered meanwhile")])
    before = everything(store)
    with pytest.raises(Refused) as refused:
        store.restore(1, [], "another-log", end=looked_at)
    assert refused.value.code == "log_moved"
    assert everything(store) == before
    assert store.log_id != "another-log"


def test_a_store_forgets_its_queues_but_not_which_ids_it_gave(store: LogStore) -> None:
    told = Outgoing("result", b"key", b"value", (), 1)
    store.append([Append((), None, intake=Intake("commands/0", 0, 7), outcomes=(told,))])
    given = store.max_outcome()
    store.forget_queues({"commands/1": Taken(3), "commands/2": Taken(9, b"known")})
    assert store.outcomes(0, 10) == []
    assert (store.intake("commands/0"), store.intake("commands/1")) == (None, Taken(3))
    assert store.intake("commands/2") == Taken(9, b"known")
    store.append([Append((), None, intake=Intake("commands/1", 3, 4), outcomes=(told,))])
    assert store.max_outcome() > given


def test_an_event_rests_on_the_very_one_that_its_decision_saw(store: LogStore) -> None:
    store.append([one("model/a", 1, "first")])
    seen, other = event_hash("model/a", 1, b"first"), event_hash("model/a", 1, b"another")

    def after(tip: bytes, stream: str = "model/a", sequence: int = 2, **more: dict[str, int]) -> Append:
        return replace(one(stream, sequence, f"after {stream}", **more), tips={"model/a": tip})

    with pytest.raises(Conflict):
        store.append([after(other)])
    with pytest.raises(Conflict):
        store.append([after(other, "model/b", 1, reads={"model/a": 1})])
    in_one_batch = [after(seen), replace(one("model/a", 3, "third"), tips={"model/a": b"what the first of them made"})]
    assert store.append(in_one_batch) == [3, 4]
