"""One place on the events topic that is read on from: whole atomic sets, every event once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from regista.bus.events.envelope import received
from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections.feed import Mark

_FETCH_MS = 500
_RECORDS = 1_000
_SILENCE = 3.0
"""Seconds without a word from the broker after which it is asked: a consumer says nothing of an outage by itself."""
_ANSWER_WITHIN = 3.0
_TYPE, _POSITION, _SEQUENCE, _LOG_ID = 3, 8, 9, 10
"""Where the relay writes these headers (``envelope.Envelope``)."""
_ALONE = (1, 1)
_Event: TypeAlias = tuple[Row, bytes, int, int]
"""A row, the log it is of, its place in its atomic set (from 1), and the size of that."""
_log = logging.getLogger(__name__)


class Cursor:
    """A consumer behind one event. ``position`` is that of the last event given out, ``used`` when that was."""

    def __init__(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, log_id: str, position: int, mark: Mark | None
    ) -> None:
        """``mark`` is the event that the consumer stands behind; None when it was not looked at."""
        self.consumer = consumer
        self.position = position
        self._partition = partition
        self._log_id = log_id.encode()
        self._mark = mark
        self._given: Sequence[Row] = ()
        self._rows: list[Row] = []
        self._ends: list[bool] = []
        self._whole = 0
        self._next_in_set = _ALONE
        self._last = position
        self._used = self._now()

    @property
    def used(self) -> float:
        """When it was read from, in seconds of the event loop's clock."""
        return self._used

    def go_to(self, mark: Mark) -> bool:
        """Stand behind an event, if that is where it stands, or among what it gave out last."""
        if self._mark is None:
            return False
        if self._mark == mark:
            return True
        for index, row in enumerate(self._given):
            if row.position == mark.position and Mark.of(row) == mark:
                again = self._given[index + 1 :]
                self._rows[:0] = again
                self._ends[:0] = [*(False for _ in again[:-1]), *(True for _ in again[-1:])]
                self._whole += len(again)
                self._given = self._given[: index + 1]
                self._moved(mark)
                return True
        return False

    async def read(self, limit: int) -> list[Row]:
        """The next events: about ``limit``, whole sets; none when the topic holds no more now.

        Raises:
            Damaged: ``foreign_event``, ``event_missing``, ``undecodable_record``.
            KafkaError, TimeoutError: Kafka does not answer.
        """
        while self._whole < limit:
            if not await self._fetch_what_there_is():
                break
            # Thousands of records are taken in without a pause otherwise; who shares the event loop would wait.
            await asyncio.sleep(0)
        count = self._cut(limit)
        self._given = self._rows[:count]
        del self._rows[:count], self._ends[:count]
        self._whole -= count
        if self._given:
            self._moved(Mark.of(self._given[-1]))
        return list(self._given)

    async def wait(self, deadline: float) -> None:
        """Return when there is more to read, or at a time of the event loop's clock.

        Raises:
            Damaged, KafkaError, TimeoutError: as ``read``.
        """
        self._used = self._now()
        while not self._whole and (left := deadline - self._now()) > 0:
            await self._fetch(int(1000 * left) + 1)

    async def _fetch_what_there_is(self) -> bool:
        """Take in more records. False: the topic holds no more."""
        while not await self._fetch(0):
            if await self._is_at_the_end():
                return False
            await self._fetch(_FETCH_MS)
        return True

    async def _fetch(self, timeout_ms: int) -> bool:
        found = await self.consumer.getmany(self._partition, timeout_ms=timeout_ms, max_records=_RECORDS)
        records = found.get(self._partition, ())
        for record in records:
            self._take(_event(record))
        return bool(records)

    async def _is_at_the_end(self) -> bool:
        """Whether the consumer has seen everything that is committed, as far as the broker said a moment ago."""
        end = self.consumer.last_stable_offset(self._partition)
        asked = self.consumer.last_poll_timestamp(self._partition)
        if end is None or asked is None or time.time() - asked / 1000 > _SILENCE:
            async with asyncio.timeout(_ANSWER_WITHIN):
                end = (await self.consumer.end_offsets([self._partition]))[self._partition]
        return bool(await self.consumer.position(self._partition) >= end)

    def _take(self, event: _Event) -> None:
        row, log_id, index, size = event
        if log_id != self._log_id:
            raise Damaged(
                f"{self._partition.topic} is of the log {self._log_id.decode()}, and holds an event of "
                f"{log_id.decode(errors='replace')}",
                code="foreign_event",
                hint="Two logs were published under one prefix: each needs a prefix of its own.",
            )
        if row.position <= self._last:
            _log.warning("%s holds position %d once more: left out", self._partition.topic, row.position)
            return
        if (index, size) != self._next_in_set:
            self._check_set(row, index, size)
        self._last = row.position
        self._rows.append(row)
        self._ends.append(index == size)
        if index == size:
            self._next_in_set = _ALONE
            self._whole = len(self._rows)
        else:
            self._next_in_set = (index + 1, size)

    def _check_set(self, row: Row, index: int, size: int) -> None:
        if index != 1 or self._next_in_set != _ALONE:
            raise Damaged(
                f"{self._partition.topic} lacks events of the atomic set of which position {row.position} is number "
                f"{index} of {size}",
                code="event_missing",
                hint="regista verify --kafka compares the topic with the store. A topic that lacks events is made "
                "anew: delete it and the relay's checkpoints, and the relay publishes the log again.",
            )

    def _cut(self, limit: int) -> int:
        """How many of the rows to give out: a set is not split."""
        if self._whole <= limit:
            return self._whole
        return self._ends.index(True, limit - 1) + 1

    def _moved(self, mark: Mark) -> None:
        self._mark, self.position, self._used = mark, mark.position, self._now()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _event(record: ConsumerRecord) -> _Event:
    """The event of a record, of which ``envelope.received`` gives a full account.

    This takes a quarter of the time where the headers stand as the relay writes them; it decides nothing by itself.

    Raises:
        Damaged: ``undecodable_record``.
    """
    headers = record.headers
    if len(headers) > _LOG_ID:
        (type_name, kind), (position_name, position) = headers[_TYPE], headers[_POSITION]
        (sequence_name, sequence), (log_name, log_id) = headers[_SEQUENCE], headers[_LOG_ID]
        if (
            type_name == "ce_type"
            and position_name == "ce_position"
            and sequence_name == "ce_sequence"
            and log_name == "ce_logid"
            and headers[-1][0] != "ce_setsize"
            and position.isdigit()
            and sequence.isdigit()
            and record.key
            and record.value
        ):
            return Row(int(position), record.key.decode(), int(sequence), kind.decode(), record.value), log_id, 1, 1
    event = received(record)
    return event.row, event.log_id.encode(), event.set_index, event.set_size
