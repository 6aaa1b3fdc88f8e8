"""Commands that came from a queue: together through group commit, with their intake, and no one else's with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from eventsourcing.persistence import StoredEvent

from regista.domain.errors import Unavailable
from regista.store.append import Append, CommandKey, Conflict, Duplicate, Intake, IntakeMoved, Outgoing, Taken
from regista.store.group_commit import GroupCommit
from regista.store.sqlite import SQLiteLogStore

SOURCE = "commands/0"


def key(command: str) -> CommandKey:
    return CommandKey("ci", command, bytes(32))


def told(name: str) -> tuple[Outgoing, ...]:
    return (Outgoing("result", name.encode(), b"v", (), 0),)


def written(stream: str, sequence: int, command: str, intake: Intake | None = None) -> Append:
    row = StoredEvent(stream, sequence, "t", command.encode())
    return Append((row,), key(command), {}, intake, told(command) if intake else ())


def refused(command: str, intake: Intake) -> Append:
    return Append((), None, {}, intake, told(command))


class Store(SQLiteLogStore):
    """The real store with a gate before each append, and errors around the commit."""

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


@dataclass
class Queue:
    """A taker: submits appends as they are, and remembers what it was told to forget."""

    store: Store
    commits: GroupCommit
    forgotten: list[set[str]]

    async def forget(self, streams: set[str]) -> None:
        self.forgotten.append(streams)

    def take(self, *appends: Append) -> asyncio.Task[tuple[int, ...]]:
        keys = [append.command for append in appends if append.command is not None]
        return asyncio.create_task(self.commits.submit_all(lambda: appends, self.forget, keys=keys))

    def http(self, append: Append) -> asyncio.Task[int]:
        async def submit() -> int:
            assert append.command is not None
            return (await self.commits.submit(lambda: append, self.forget, key=append.command)).position

        return asyncio.create_task(submit())

    def outcomes(self) -> list[bytes | None]:
        return [row.outgoing.key for row in self.store.outcomes(0, 100)]


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    store = Store(tmp_path)
    commits = GroupCommit(store)
    yield Queue(store, commits, [])
    store.gate.set()
    await commits.close()
    store.close()


async def rounds() -> None:
    """Let what is ready on the loop run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_commands_of_a_queue_share_a_transaction_with_those_of_others(queue: Queue) -> None:
    several = queue.take(
        written("model/a", 1, "x", Intake(SOURCE, 0, 1)),
        refused("no", Intake(SOURCE, 1, 2)),
        written("model/a", 2, "y", Intake(SOURCE, 2, 5)),
    )
    alone = queue.http(written("model/b", 1, "z"))
    assert await several == (2, 0, 3)
    assert await alone == 4
    assert queue.store.batches == [4]
    assert queue.store.intake(SOURCE) == Taken(5)
    assert queue.outcomes() == [b"x", b"no", b"y"]


async def test_who_is_not_the_taker_any_more_is_told_and_the_others_of_the_batch_go_on(queue: Queue) -> None:
    queue.store.append([refused("by another", Intake(SOURCE, 0, 9))])
    zombie = queue.take(written("model/a", 1, "x", Intake(SOURCE, 0, 1)))
    other = queue.take(written("model/b", 1, "y", Intake("commands/1", 0, 1)))
    alone = queue.http(written("model/c", 1, "z"))
    with pytest.raises(IntakeMoved):
        await zombie
    assert (await other, await alone) == ((2,), 3)
    assert queue.outcomes() == [b"by another", b"y"]
    assert queue.forgotten == [{"model/a", "model/b", "model/c"}]


async def test_a_command_that_the_log_has_fails_its_company_so_that_all_are_looked_up_again(queue: Queue) -> None:
    await queue.http(written("model/a", 1, "x"))
    several = queue.take(refused("no", Intake(SOURCE, 0, 1)), written("model/a", 2, "x", Intake(SOURCE, 1, 2)))
    alone = queue.http(written("model/b", 1, "z"))
    with pytest.raises(Duplicate) as caught:
        await several
    assert caught.value.command_id == "x"
    assert await alone == 3
    assert queue.store.intake(SOURCE) is None


async def test_a_twin_over_http_waits_for_the_queue_and_the_other_way_round(queue: Queue) -> None:
    queue.store.gate.clear()
    first = queue.take(written("model/a", 1, "x", Intake(SOURCE, 0, 1)))
    await rounds()
    http = queue.http(written("model/a", 2, "x"))
    again = queue.take(
        written("model/b", 1, "y", Intake(SOURCE, 1, 2)), written("model/a", 2, "x", Intake(SOURCE, 2, 3))
    )
    await rounds()
    queue.store.gate.set()
    assert await first == (2,)
    for task in (http, again):
        with pytest.raises(Duplicate):
            await task
    assert queue.store.batches == [1]
    together = queue.http(written("model/b", 1, "y")), queue.take(written("model/b", 1, "y", Intake(SOURCE, 1, 2)))
    assert await together[0] == 3
    with pytest.raises(Duplicate):
        await together[1]
    assert queue.store.intake(SOURCE) == Taken(1)


async def test_an_error_out_of_the_commit_of_refusals_alone_is_resolved_by_the_intake(queue: Queue) -> None:
    queue.store.after = [Unavailable("the disk went away", code="log_unavailable")]
    assert await queue.take(refused("a", Intake(SOURCE, 0, 1)), refused("b", Intake(SOURCE, 1, 2))) == (0, 0)
    queue.store.before = [Unavailable("the disk went away", code="log_unavailable")]
    with pytest.raises(Unavailable):
        await queue.take(refused("c", Intake(SOURCE, 2, 3)))
    assert await queue.take(refused("c", Intake(SOURCE, 2, 3))) == (0,)
    assert queue.outcomes() == [b"a", b"b", b"c"]


async def test_a_queue_that_another_began_anew_meanwhile_does_not_pass_for_taken_in(queue: Queue) -> None:
    """The append failed, and the queue has moved all the same: nobody was told of what was refused."""
    queue.store.append([refused("by another", Intake(SOURCE, 0, 2, b"of the new topic"))])
    queue.store.before = [Unavailable("the disk went away", code="log_unavailable")]
    with pytest.raises(Unavailable):
        await queue.take(refused("a", Intake(SOURCE, 5, 6, b"of the old topic")))
    queue.store.before = [Unavailable("the disk went away", code="log_unavailable")]
    with pytest.raises(Unavailable):
        await queue.take(refused("b", Intake(SOURCE, 1, 2, b"of the old topic")))
    assert queue.outcomes() == [b"by another"]


async def test_a_conflict_decides_all_of_them_anew(queue: Queue) -> None:
    queue.store.before = [Conflict("model/a", 0, 1)]
    assert await queue.take(refused("a", Intake(SOURCE, 0, 1)), refused("b", Intake(SOURCE, 1, 2))) == (0, 0)
    assert queue.store.batches == [2, 2]


async def test_a_taker_that_left_while_its_commands_waited_takes_nothing_in(queue: Queue) -> None:
    queue.store.gate.clear()
    running = queue.take(refused("a", Intake(SOURCE, 0, 1)))
    await rounds()
    gone = queue.take(refused("b", Intake(SOURCE, 1, 2)))
    await rounds()
    gone.cancel()
    running.cancel()
    await rounds()
    queue.store.gate.set()
    await queue.http(written("model/a", 1, "z"))
    assert queue.store.intake(SOURCE) == Taken(1)
    assert queue.outcomes() == [b"a"]
