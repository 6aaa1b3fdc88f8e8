"""What a queue concludes, and shows, while it is being opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from tests.support.intake import until
from tests.support.registrar import registrar_on

from regista.bus.commands.mark import Mark
from regista.bus.commands.queue import Queue
from regista.bus.commands.same import CUT, SHORTER
from regista.domain.errors import Damaged
from regista.domain.times import utc_now
from regista.registrar.taking import Taker
from regista.store.append import Append, Intake, Taken
from regista.store.sqlite import SQLiteLogStore

PARTITION = TopicPartition("commands", 0)
SOURCE = "commands/0"
TAKEN = Taken(5, Mark(4, 1000, bytes(32)).packed)


class NewLeader:
    """Answers as a broker does that has just become the leader, and does not know the end of the partition yet."""

    asked: Callable[[], None] = staticmethod(lambda: None)

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked()
        return dict.fromkeys(partitions, 0)

    def seek(self, *_: object) -> None:
        """Nothing is read."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    with closing(SQLiteLogStore(tmp_path)) as store:
        store.append([Append((), None, {}, Intake(SOURCE, 0, *TAKEN))])
        yield store


@asynccontextmanager
async def queue_on(log: SQLiteLogStore, tmp_path: Path, consumer: Any) -> AsyncIterator[Queue]:
    one = registrar_on(log, tmp_path)
    taker = Taker(one.registrar)
    queue = Queue(consumer, PARTITION, taker, log, max_bytes=10**6, clock=utc_now, told=lambda: None)
    try:
        yield queue
    finally:
        queue.stop()
        assert queue.task is not None
        async with asyncio.timeout(10):
            await queue.task
        await one.writer.close()


async def test_a_queue_that_is_stopped_while_it_is_opened_concludes_nothing_from_what_it_saw(
    log: SQLiteLogStore, tmp_path: Path
) -> None:
    """A rebalance or a shutdown in the first look: it cannot know whether the second would say the same."""
    leader = NewLeader()
    looked = asyncio.Event()
    async with queue_on(log, tmp_path, leader) as queue:

        def stop() -> None:
            looked.set()
            queue.stop()

        leader.asked = stop
        queue.start()
        async with asyncio.timeout(10):
            await looked.wait()
    assert log.intake(SOURCE) == TAKEN
    assert queue.progress.begun_anew == 0


async def test_a_queue_that_waits_for_its_end_to_come_back_says_so_from_the_first_look_on(
    log: SQLiteLogStore, tmp_path: Path
) -> None:
    async with queue_on(log, tmp_path, NewLeader()) as queue:
        queue.start()
        await until(lambda: queue.progress.error is not None, "it says what it waits for", 5)
        error = queue.progress.error
        assert error is not None
        assert (error.code, queue.progress.offset, queue.progress.taken) == (SHORTER, 5, 0)
        assert "ends at offset 0, and was taken in up to 5" in error.detail
    assert log.intake(SOURCE) == TAKEN


async def test_a_queue_that_has_halted_shows_that_while_it_is_looked_at_again(
    log: SQLiteLogStore, tmp_path: Path
) -> None:
    """It looks again and again whether somebody helped: a halt that comes and goes would be no alarm."""
    leader = NewLeader()
    looks: list[int] = []
    async with queue_on(log, tmp_path, leader) as queue:
        halted = queue.progress.error = Damaged("It was cut.", code=CUT)
        leader.asked = lambda: looks.append(1)
        queue.start()
        await until(lambda: len(looks) > 1, "it has looked twice", 5)
        assert queue.progress.error is halted
