"""The events topic from its first record to its present end: what heal, verify and rebuilds of a store read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from aiokafka import TopicPartition

from regista.bus.clients import BATCH, reading
from regista.bus.events.envelope import Received, received
from regista.bus.events.existence import check_exists
from regista.bus.faults import translated
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.chain import Row
from regista.domain.errors import Damaged

_WAIT_MS = 500


async def history(settings: KafkaSettings) -> AsyncIterator[Sequence[Received]]:
    """The committed events up to the end that the topic has when this begins, in batches.

    Raises:
        Damaged: ``undecodable_record``: something else wrote to the topic.
        Unavailable: ``kafka_unavailable``; ``events_topic_missing``.
    """
    partition = TopicPartition(Topics(settings.kafka_prefix).events, 0)
    with translated(settings):
        async with reading(settings, "history") as consumer:
            await check_exists(consumer, settings)
            consumer.assign([partition])
            start = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
            consumer.seek(partition, start)
            while await consumer.position(partition) < end:
                found = await consumer.getmany(partition, timeout_ms=_WAIT_MS, max_records=BATCH)
                batch = [received(record) for record in found.get(partition, ()) if record.offset < end]
                if batch:
                    yield batch


class TopicHistory:
    """The events topic for programs that block. ``log_id`` is that of its first record.

    Raises:
        Damaged: ``empty_topic``: it has no record; or as ``history``.
        Unavailable: as ``history``.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        first = next(self._received(), None)
        if first is None:
            raise Damaged(
                f"{Topics(settings.kafka_prefix).events} holds no event.",
                code="empty_topic",
                hint="Look at REGISTA_KAFKA_PREFIX: it names the topics of one log.",
            )
        self.log_id = first.log_id

    def rows(self) -> Iterator[Row]:
        """Every event up to the topic's present end.

        Raises:
            Damaged: ``foreign_event``: an event of another log; or as ``history``.
            Unavailable: as ``history``.
        """
        for event in self._received():
            if event.log_id != self.log_id:
                raise Damaged(
                    f"The topic holds events of {self.log_id}, and at position {event.row.position} one of {event.log_id}.",
                    code="foreign_event",
                    hint="Two logs were published under one prefix: each needs a prefix of its own.",
                )
            yield event.row

    def _received(self) -> Iterator[Received]:
        with asyncio.Runner() as runner:
            batches = history(self._settings)
            try:
                while batch := runner.run(_next(batches)):
                    yield from batch
            finally:
                runner.run(batches.aclose())  # type: ignore[attr-defined]  # it is an asynchronous generator


async def _next(batches: AsyncIterator[Sequence[Received]]) -> Sequence[Received]:
    try:
        return await anext(batches)
    except StopAsyncIteration:
        return ()
