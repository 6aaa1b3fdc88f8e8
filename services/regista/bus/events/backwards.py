"""The newest committed record of a partition, found without reading the partition from its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

SILENCE = 15.0
"""Seconds without progress after which a partition counts as one that cannot be read."""
_FIRST = 32
_WIDER = 8
_POLL_MS = 200
_BATCH = 5000


async def between(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, stop: int
) -> AsyncIterator[list[Any]]:
    """Committed records with ``start <= offset < stop``, in lists that are not empty.

    ``stop`` must not be beyond the end that committed readers see (``end_offsets``).

    Raises:
        TimeoutError: nothing more came for ``SILENCE`` seconds: the partition cannot be read now.
    """
    consumer.seek(partition, start)
    at, clock = start, asyncio.get_running_loop().time
    moved = clock()
    while (position := await consumer.position(partition)) < stop:
        if position != at:
            at, moved = position, clock()
        elif clock() - moved > SILENCE:
            msg = f"{partition.topic} cannot be read at offset {at}"
            raise TimeoutError(msg)
        found = await consumer.getmany(partition, timeout_ms=_POLL_MS, max_records=_BATCH)
        records = [record for record in found.get(partition, ()) if record.offset < stop]
        if records:
            yield records


async def newest(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    wanted: Callable[[Any], bool] = lambda _record: True,
    *,
    before: int | None = None,
) -> Any | None:  # noqa: ANN401 - aiokafka has no types
    """The newest committed record that is ``wanted``; None when no record up to the end is.

    ``before`` is an offset to look before, instead of the end.

    Looks through windows from the end on, each wider than the one before: aborted records and the marks of
    transactions take offsets too, so the last offset hardly ever is a record.

    Raises:
        TimeoutError: the partition cannot be read now.
    """
    async with asyncio.timeout(SILENCE):
        begin = (await consumer.beginning_offsets([partition]))[partition]
        stop = (await consumer.end_offsets([partition]))[partition] if before is None else before
    width = _FIRST
    while stop > begin:
        start = max(begin, stop - width)
        found = None
        async for records in between(consumer, partition, start, stop):
            found = next((record for record in reversed(records) if wanted(record)), found)
        if found is not None:
            return found
        stop, width = start, width * _WIDER
    return None
