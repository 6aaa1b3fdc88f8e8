"""Where on the events topic a position is: no offsets are kept anywhere, since positions rise with them.

The topic has one partition and is written in position order, so that the place of a position is found by search. Each
look fetches once; offsets without a record of their own (the marks of transactions, records of aborted ones) count as
the next record behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from regista.domain.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.structs import ConsumerRecord

    class Record(Protocol):
        """What is looked at of a record."""

        @property
        def offset(self) -> int:
            """Its place in the partition."""

        @property
        def headers(self) -> Iterable[tuple[str, bytes]]:
            """Its headers."""


_LOOK_MS = 100
"""How long one look waits for records before it asks whether there can be any."""


def position_of(record: Record) -> int:
    """The position of a record, from its header.

    Raises:
        Damaged: ``undecodable_record``: it has none.
    """
    for name, value in record.headers:
        if name == "ce_position" and value.isdigit():
            return int(value)
    raise Damaged(
        f"the record at offset {record.offset} has no header ce_position",
        code="undecodable_record",
        hint="Only the relay may write the events topic: `regista topics plan` prints the ACLs that see to it.",
    )


async def seek_to_position(consumer: AIOKafkaConsumer, partition: TopicPartition, position: int) -> None:
    """Make the first record at or behind ``position`` the next that the consumer reads.

    Where the topic ends before it, that is the next record to be written. The consumer has the partition assigned and
    reads committed records only. The looks are few, about log2 of the number of records at the most, and each may
    fetch as much as the consumer fetches at once.

    Raises:
        Damaged: ``undecodable_record``.
        KafkaError: the broker does not answer.
    """
    low = (await consumer.beginning_offsets([partition]))[partition]
    end = high = (await consumer.end_offsets([partition]))[partition]
    before: tuple[int, int] | None = None
    behind: tuple[int, int] | None = None
    halve = False
    while low < high:
        look = _between(before, behind, position, low, high)
        if halve or look is None:
            look = (low + high) // 2
        halve = not halve
        found = await _first_record(consumer, partition, look, end)
        if found is None:
            high = look
        elif (there := position_of(found)) < position:
            low, before = found.offset + 1, (found.offset, there)
        else:
            high, behind = look, (found.offset, there)
    consumer.seek(partition, high)


async def _first_record(
    consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int, end: int
) -> ConsumerRecord[bytes, bytes] | None:
    """The first committed record at or behind an offset and before ``end``; None where there is none."""
    consumer.seek(partition, offset)
    while True:
        found = await consumer.getmany(partition, timeout_ms=_LOOK_MS, max_records=1)
        if records := found.get(partition):
            return records[0] if records[0].offset < end else None
        if await consumer.position(partition) >= end:
            return None


def _between(
    before: tuple[int, int] | None, behind: tuple[int, int] | None, position: int, low: int, high: int
) -> int | None:
    """A guess, for positions that rise evenly with offsets: they nearly do."""
    if before is None or behind is None or behind[1] == before[1]:
        return None
    share = (position - before[1]) / (behind[1] - before[1])
    return min(high - 1, max(low, before[0] + int(share * (behind[0] - before[0]))))
