"""The conformance suite of the log store: every implementation passes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

from regista.domain.chain import Row
from regista.store.append import Append, CommandKey, Conflict, Duplicate
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore

Open = Callable[[], LogStore]


@pytest.fixture(params=["sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the same log again and again; only one at a time."""
    opened: list[LogStore] = []

    def open_it() -> LogStore:
        assert request.param == "sqlite"
        for store in opened:
            store.close()
        opened.append(SQLiteLogStore(tmp_path / "data"))
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
