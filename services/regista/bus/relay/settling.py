"""What a broker left open: closed as it had been decided, before anything else is published.

A coordinator that starts together with its broker passes over partitions whose leader it does not know yet when it writes
the marks of a transaction that was decided ("likely deleted already", says ``addTxnMarkersToBrokerQueue`` of Kafka 3.9 to
4.3). It does so for each partition by itself, and forgets: records stay open there, and nothing behind them can be read.
A later mark of the same producer id, that of a transaction without records too, closes them.

How the transaction had been decided, the marks that were written tell. Whoever has fenced the others knows that no
transaction of this outbox is under way, so what is open was forgotten, and what can be read was committed:

* Nothing is open, and nothing is done.
* The newest checkpoint that can be read covers an open entry: a checkpoint was marked as committed, that of its own
  transaction or of a later one. The entry is committed.
* Checkpoints are open, and an entry that lies behind all that can be read can be read itself: its transaction was
  committed, and some of its partitions were marked. All that is open is committed.
* Anything else is aborted. Either that was decided, or no partition at all was marked: nothing of the transaction was
  ever read, and it is published anew.

Every step leaves behind what leads to the same conclusion again, so that a relay may be killed at any point of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.bus.clients import looking, reading
from regista.bus.events.backwards import SILENCE, newest
from regista.bus.relay.checkpoint import parsed
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.relay.outbox import Outbox
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import Unavailable

_PASSES = 15.0
"""Seconds to wait for the transaction of somebody else to end, or for a mark to be seen."""
_LOOK = 0.005
_log = logging.getLogger(__name__)


async def settle(settings: KafkaSettings, outbox: Outbox, producer: FencedProducer) -> None:
    """Close what was left open of an outbox, with ``producer`` having fenced the others.

    When it returns, all that was committed of this outbox can be read, unless somebody else's transaction is in the way.

    Raises:
        Unavailable: ``kafka_unavailable``: somebody else's transaction stays open before ours, or a mark is not seen.
        Damaged: ``undecodable_record``: something else wrote to a topic.
        Exception: anything that aiokafka raises.
    """
    notes = TopicPartition(Topics(settings.kafka_prefix).relay, 0)
    entries = await producer.partitions(outbox.topics)
    async with (
        looking(settings, f"relay.{outbox.name}.settle", notes, *entries) as committed,
        reading(
            settings,
            f"relay.{outbox.name}.open",
            notes,
            *entries,
            isolation_level="read_uncommitted",
            fetch_max_wait_ms=10,
        ) as everything,
    ):
        await _Settling(outbox, producer, notes, entries, committed, everything).run()


class _Settling:
    def __init__(
        self,
        outbox: Outbox,
        producer: FencedProducer,
        notes: TopicPartition,
        entries: Sequence[TopicPartition],
        committed: AIOKafkaConsumer,
        everything: AIOKafkaConsumer,
    ) -> None:
        self._outbox = outbox
        self._producer = producer
        self._notes = notes
        self._entries = entries
        self._committed = committed
        self._everything = everything
        self._deadline = asyncio.get_running_loop().time() + _PASSES

    async def run(self) -> None:
        partitions = [self._notes, *self._entries]
        # The end first: what is before it and not stable is open then, and not just new.
        ends = await self._everything.end_offsets(partitions)
        stable = await self._committed.end_offsets(partitions)
        behind = [partition for partition in partitions if stable[partition] < ends[partition]]
        found = {partition: await self._first_open(partition, ends[partition]) for partition in behind}
        left = {partition: record for partition, record in found.items() if record is not None}
        if not left:
            return
        committed = await self._committed_of(left)
        await self._close(committed, commit=True)
        await self._close([partition for partition in left if partition not in committed], commit=False)
        for partition in left:
            # Else the next mark would close what is still open too, whatever had been decided.
            while await self._stable(partition) < ends[partition]:
                await self._look_again(partition)

    async def _first_open(self, partition: TopicPartition, end: int) -> Any | None:  # noqa: ANN401 - aiokafka has no types
        """Our first record before ``end`` that is open; None when none is. Waits while somebody else's is before it."""
        is_ours: Callable[[Any], bool] = self._is_note if partition == self._notes else self._outbox.owns
        while (stable := await self._stable(partition)) < end:
            self._everything.seek(partition, stable)
            async with asyncio.timeout(SILENCE):
                # The first transaction that is open begins there.
                record = await self._everything.getone(partition)
            if is_ours(record):
                return record
            await self._look_again(partition)
        return None

    async def _committed_of(self, left: Mapping[TopicPartition, Any]) -> list[TopicPartition]:
        """Those of the partitions whose first open record, given with each, had been committed."""
        checkpoint = await newest_checkpoint(self._committed, self._notes, self._outbox.name)
        covered = 0 if checkpoint is None else checkpoint.position
        if self._notes in left and await self._reads_behind(covered):
            return list(left)
        open_entries = [partition for partition in left if partition != self._notes]
        return [each for each in open_entries if not await self._is_behind(left[each], covered)]

    async def _reads_behind(self, position: int) -> bool:
        """Whether an entry behind a position can be read."""
        for partition in self._entries:
            last = await newest(self._committed, partition, self._outbox.owns)
            if last is not None and await self._is_behind(last, position):
                return True
        return False

    async def _close(self, partitions: Sequence[TopicPartition], *, commit: bool) -> None:
        if not partitions:
            return
        names = ", ".join(f"{partition.topic}/{partition.partition}" for partition in partitions)
        what = "committed" if commit else "aborted"
        _log.warning("A broker left transactions of the %s open in %s: now %s", self._outbox.name, names, what)
        await self._producer.conclude(partitions, commit=commit)

    async def _look_again(self, partition: TopicPartition) -> None:
        if asyncio.get_running_loop().time() > self._deadline:
            raise Unavailable(f"A transaction stays open in {partition.topic}.", code="kafka_unavailable")
        await asyncio.sleep(_LOOK)

    async def _stable(self, partition: TopicPartition) -> int:
        return int((await self._committed.end_offsets([partition]))[partition])

    async def _is_behind(self, record: Any, position: int) -> bool:  # noqa: ANN401 - aiokafka has no types
        return await asyncio.to_thread(self._outbox.is_behind, record, position)

    def _is_note(self, record: Any) -> bool:  # noqa: ANN401 - aiokafka has no types
        return parsed(record).outbox == self._outbox.name
