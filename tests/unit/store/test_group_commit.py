"""Group commit: the order of decisions, what a conflict does, who is told what and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from threading import Event

import pytest
from eventsourcing.persistence import StoredEvent

from regista.domain.errors import Refused, Unavailable
from regista.store.append import Append, CommandKey, Conflict, Duplicate
from regista.store.group_commit import Committed, GroupCommit
from regista.store.sqlite import SQLiteLogStore

DIGEST = bytes(32)


class Store(SQLiteLogStore):
    """The real store with a gate before each append, a record of the batches, and errors around the commit."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.gate = Event()
        self.gate.set()
        self.batches: list[int] = []
        self.before: list[Exception] = []
        self.after: list[Exception] = []

    def append(self, appends: Sequence[Append]) -> list[int]:
        assert self.gate.wait(10)
        self.batches.append(len(appends))
        if self.before:
            raise self.before.pop(0)
        positions = super().append(appends)
        if self.after:
            raise self.after.pop(0)
        return positions


class Registrar:
    """The smallest one: streams by their last sequence, in a cache that decisions move and that conflicts drop."""

    def __init__(self, store: Store, commits: GroupCommit) -> None:
        self.store = store
        self.commits = commits
        self.cache: dict[str, int] = {}
        self.decided: list[str] = []
        self.forgotten: list[set[str]] = []

    def sequence(self, stream: str) -> int:
        if stream not in self.cache:
            self.cache[stream] = sum(1 for _ in self.store.load(stream))
        return self.cache[stream]

    async def forget(self, streams: set[str]) -> None:
        self.forgotten.append(streams)
        for stream in streams:
            self.cache.pop(stream, None)

    async def write(
        self, stream: str, command: str, *, reads: tuple[str, ...] = (), rule: Callable[[int], None] | None = None
    ) -> Committed:
        key = CommandKey("ci", command, DIGEST)

        def prepare() -> Append:
            self.decided.append(command)
            sequence = self.sequence(stream)
            if rule:
                rule(sequence)
            seen = {read: self.sequence(read) for read in reads}
            self.cache[stream] = sequence + 1
            return Append((StoredEvent(stream, sequence + 1, "t", command.encode()),), key, seen)

        return await self.commits.submit(prepare, self.forget, key=key)

    def task(self, stream: str, command: str, **more: Callable[[int], None] | None) -> asyncio.Task[Committed]:
        return asyncio.create_task(self.write(stream, command, rule=more.get("rule")))


@pytest.fixture
async def registrar(tmp_path: Path) -> AsyncIterator[Registrar]:
    store = Store(tmp_path)
    commits = GroupCommit(store)
    yield Registrar(store, commits)
    store.gate.set()
    await commits.close()
    store.close()


async def rounds(count: int = 5) -> None:
    """Let what is ready on the loop run."""
    for _ in range(count):
        await asyncio.sleep(0)


def behind(store: Store, stream: str, sequence: int, command: str, actor: str = "x") -> None:
    """Another registrar appends."""
    key = CommandKey(actor, command, DIGEST)
    SQLiteLogStore.append(store, [Append((StoredEvent(stream, sequence, "t", b"x"),), key)])


def stored(registrar: Registrar) -> list[tuple[int, str, int, bytes]]:
    return [(r.position, r.stream, r.sequence, r.value) for r in registrar.store.read(2, 100)]


async def test_what_queued_up_during_a_commit_is_the_next_batch_in_order(registrar: Registrar) -> None:
    registrar.store.gate.clear()
    first = registrar.task("model/a", "0")
    await rounds()
    rest = [registrar.task("model/a", str(n)) for n in range(1, 11)]
    await rounds()
    registrar.store.gate.set()
    assert (await first).position == 2
    assert [(await task).position for task in rest] == list(range(3, 13))
    assert registrar.store.batches == [1, 10]
    assert registrar.decided == [str(n) for n in range(11)]


async def test_a_refusal_goes_to_its_caller_and_the_batch_goes_on(registrar: Registrar) -> None:
    def no(_: int) -> None:
        raise Refused("no")

    tasks = [registrar.task("model/a", "1"), registrar.task("model/a", "2", rule=no), registrar.task("model/a", "3")]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert done[0] == Committed(2)
    assert isinstance(done[1], Refused)
    assert done[2] == Committed(3)
    assert registrar.forgotten == []


async def test_nothing_to_append_is_answered_with_position_zero(registrar: Registrar) -> None:
    key = CommandKey("ci", "nothing", DIGEST)
    assert await registrar.commits.submit(lambda: None, registrar.forget, key=key) == Committed(0)
    assert registrar.store.batches == []


async def test_a_refusal_that_rests_on_an_event_that_never_came_to_be_is_decided_again(registrar: Registrar) -> None:
    def only_first(sequence: int) -> None:
        if sequence:
            raise Refused("taken")

    behind(registrar.store, "model/elsewhere", 1, "a1", actor="ci")
    done = await asyncio.gather(
        registrar.task("model/a", "a1", rule=only_first),
        registrar.task("model/a", "a2", rule=only_first),
        return_exceptions=True,
    )
    assert isinstance(done[0], Duplicate)
    assert done[1] == Committed(3)
    assert registrar.decided == ["a1", "a2", "a2"]


async def test_after_a_conflict_all_streams_of_the_batch_are_reloaded_and_each_command_is_decided_anew(
    registrar: Registrar,
) -> None:
    registrar.sequence("model/a")
    behind(registrar.store, "model/a", 1, "other")
    done = await asyncio.gather(registrar.write("model/b", "b"), registrar.write("model/a", "a", reads=("policy/p",)))
    assert registrar.forgotten == [{"model/a", "model/b", "policy/p"}]
    assert [one.position for one in done] == [3, 4]
    assert [(stream, sequence) for _, stream, sequence, _ in stored(registrar)] == [
        ("model/a", 1),
        ("model/b", 1),
        ("model/a", 2),
    ]
    assert registrar.store.batches == [2, 2]


async def test_a_conflict_in_a_large_batch_costs_one_reload_of_each_stream_and_one_more_append(
    registrar: Registrar,
) -> None:
    registrar.sequence("model/0")
    behind(registrar.store, "model/0", 1, "other")
    done = await asyncio.gather(*(registrar.write(f"model/{n}", str(n)) for n in range(300)))
    assert [one.position for one in done] == list(range(3, 303))
    assert [len(streams) for streams in registrar.forgotten] == [300]
    assert registrar.store.batches == [300, 300]


async def test_commands_that_the_log_has_cost_a_large_batch_one_reload_and_one_more_append(
    registrar: Registrar,
) -> None:
    for n in range(3):
        await registrar.write(f"model/{n}", str(n))
    registrar.store.batches.clear()
    done = await asyncio.gather(*(registrar.write(f"model/{n}", str(n)) for n in range(300)), return_exceptions=True)
    assert [isinstance(one, Duplicate) for one in done] == [n < 3 for n in range(300)]
    assert [one.position for one in done if isinstance(one, Committed)] == list(range(5, 302))
    assert [len(streams) for streams in registrar.forgotten] == [300]
    assert registrar.store.batches == [300, 297]


async def test_a_command_repeated_while_its_first_copy_is_committed_costs_no_reload(registrar: Registrar) -> None:
    registrar.store.gate.clear()
    first = registrar.task("model/a", "x")
    await rounds()
    again = [registrar.task("model/a", "x") for _ in range(3)]
    others = [registrar.task(f"model/{n}", str(n)) for n in range(10)]
    await rounds()
    registrar.store.gate.set()
    assert await first == Committed(2)
    assert all(isinstance(one, Duplicate) for one in await asyncio.gather(*again, return_exceptions=True))
    assert [one.position for one in await asyncio.gather(*others)] == list(range(3, 13))
    assert registrar.decided == ["x", *map(str, range(10))]
    assert registrar.forgotten == []
    assert registrar.store.batches == [1, 10]


async def test_a_stream_that_does_not_stand_still_holds_up_its_own_commands_alone_and_none_overtakes_another(
    registrar: Registrar,
) -> None:
    moved: list[int] = []

    def moving(sequence: int) -> None:
        if len(moved) < 8:
            moved.append(sequence)
            behind(registrar.store, "model/5", sequence + 1, f"other{len(moved)}")

    tasks = [registrar.task(f"model/{n % 8}", str(n), rule=moving if n == 5 else None) for n in range(64)]
    positions = [(await task).position for task in tasks]
    assert positions == sorted(positions)
    assert len(registrar.store.batches) < 24
    assert sum(len(streams) for streams in registrar.forgotten) < 64


async def test_of_twins_in_one_batch_the_second_is_a_duplicate_and_is_never_decided(registrar: Registrar) -> None:
    first, second, other = (
        registrar.task("model/a", "x"),
        registrar.task("model/a", "x"),
        registrar.task("model/a", "y"),
    )
    done = await asyncio.gather(first, second, other, return_exceptions=True)
    assert done[0] == Committed(2)
    assert isinstance(done[1], Duplicate)
    assert done[2] == Committed(3)
    assert registrar.decided == ["x", "y"]


async def test_a_twin_of_a_command_that_was_refused_is_decided_for_itself(registrar: Registrar) -> None:
    verdicts = iter([Refused("not yet")])

    def rule(_: int) -> None:
        for verdict in verdicts:
            raise verdict

    done = await asyncio.gather(
        registrar.task("model/a", "x", rule=rule), registrar.task("model/a", "x", rule=rule), return_exceptions=True
    )
    assert isinstance(done[0], Refused)
    assert done[1] == Committed(2)


async def test_a_twin_knows_of_a_commit_whose_caller_has_gone(registrar: Registrar) -> None:
    registrar.store.gate.clear()
    first = registrar.task("model/a", "x")
    await rounds()
    second = registrar.task("model/a", "x")
    await rounds()
    first.cancel()
    await rounds()
    registrar.store.gate.set()
    with pytest.raises(Duplicate):
        await second
    assert len(stored(registrar)) == 1


async def test_a_command_that_is_in_the_log_fails_alone(registrar: Registrar) -> None:
    await registrar.write("model/a", "x")
    done = await asyncio.gather(
        registrar.write("model/b", "b"), registrar.write("model/a", "x"), registrar.write("model/a", "a"),
        return_exceptions=True,
    )  # fmt: skip
    assert done[0] == Committed(3)
    assert isinstance(done[1], Duplicate)
    assert done[2] == Committed(4)
    assert [(stream, sequence) for _, stream, sequence, _ in stored(registrar)][-1] == ("model/a", 2)


async def test_an_error_out_of_the_commit_is_resolved_by_the_command_index(registrar: Registrar) -> None:
    registrar.store.after = [Unavailable("the disk went away", code="log_unavailable")]
    done = await asyncio.gather(registrar.write("model/a", "1"), registrar.write("model/a", "2"))
    assert [one.position for one in done] == [2, 3]
    registrar.store.before = [Unavailable("the disk went away", code="log_unavailable")]
    failed = await asyncio.gather(
        registrar.write("model/a", "3"), registrar.write("model/a", "4"), return_exceptions=True
    )
    assert all(isinstance(error, Unavailable) for error in failed)
    assert registrar.forgotten == [{"model/a"}]
    assert (await registrar.write("model/a", "3")).position == 4


async def test_an_older_command_of_the_same_name_does_not_pass_for_the_one_that_failed(registrar: Registrar) -> None:
    behind(registrar.store, "model/z", 1, "old")
    key = CommandKey("x", "old", DIGEST)
    registrar.store.before = [Unavailable("full", code="log_full")]
    append = Append((StoredEvent("model/a", 1, "t", b"new"),), key)
    with pytest.raises(Unavailable):
        await registrar.commits.submit(lambda: append, registrar.forget, key=key)


async def test_a_reload_that_fails_fails_its_caller_alone(registrar: Registrar) -> None:
    async def broken(_: set[str]) -> None:
        raise Unavailable("cannot be read", code="log_unavailable")

    registrar.store.before = [Conflict("model/a", 0, 1)]
    key = CommandKey("ci", "broken", DIGEST)
    append = Append((StoredEvent("model/b", 1, "t", b"b"),), key)
    done = await asyncio.gather(
        registrar.commits.submit(lambda: append, broken, key=key), registrar.write("model/a", "a"),
        return_exceptions=True,
    )  # fmt: skip
    assert isinstance(done[0], Unavailable)
    assert done[1] == Committed(2)


async def test_streams_that_never_stand_still_end_in_an_answer(registrar: Registrar) -> None:
    registrar.store.before = [Conflict("model/a", 0, 1)] * 50
    with pytest.raises(Unavailable, match="log_contended"):
        await registrar.write("model/a", "a")
    registrar.store.before = []
    assert (await registrar.write("model/a", "a")).position == 2


async def test_a_caller_that_leaves_the_queue_is_not_decided(registrar: Registrar) -> None:
    registrar.store.gate.clear()
    first = registrar.task("model/a", "1")
    await rounds()
    gone, stays = registrar.task("model/a", "2"), registrar.task("model/a", "3")
    await rounds()
    gone.cancel()
    await rounds()
    registrar.store.gate.set()
    await asyncio.gather(first, stays)
    assert registrar.decided == ["1", "3"]


async def test_a_full_queue_is_refused_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    commits = GroupCommit(store, max_waiting=2)
    registrar = Registrar(store, commits)
    store.gate.clear()
    first = registrar.task("model/a", "1")
    await rounds()
    waiting = [registrar.task("model/a", str(n)) for n in (2, 3)]
    await rounds()
    with pytest.raises(Unavailable, match="overloaded"):
        await registrar.write("model/a", "4")
    store.gate.set()
    await asyncio.gather(first, *waiting)
    await commits.close()
    store.close()


async def test_close_answers_those_that_wait_and_takes_no_more(registrar: Registrar) -> None:
    tasks = [registrar.task("model/a", str(n)) for n in range(5)]
    await rounds(1)
    await registrar.commits.close()
    assert [(await task).position for task in tasks] == [2, 3, 4, 5, 6]
    with pytest.raises(Unavailable, match="shutting_down"):
        await registrar.write("model/a", "late")


async def test_a_batch_is_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    commits = GroupCommit(store, max_batch=4)
    registrar = Registrar(store, commits)
    await asyncio.gather(*(registrar.write(f"model/{n}", str(n)) for n in range(10)))
    assert store.batches == [4, 4, 2]
    await commits.close()
    store.close()
