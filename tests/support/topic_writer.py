"""Writes rows on the events topic as a relay does, one transaction for each call, and waits until they can be read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from regista.bus.clients import committed_consumer, stop_quietly
from regista.bus.connection import client_options
from regista.bus.events.envelope import to_headers
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics
from regista.bus.topics.topology import Topics
from regista.domain.chain import Row

T = TypeVar("T")
Describe: TypeAlias = Callable[[Row, str, int, int], list[tuple[str, bytes]]]
PATIENCE = 30.0


class TopicWriter:
    """For tests that block and for tests that do not: it has an event loop in a thread of its own."""

    def __init__(self, settings: KafkaSettings, log_id: str = "log-1") -> None:
        self.settings = settings
        self.log_id = log_id
        self.end = 0
        self._topic = Topics(settings.kafka_prefix).events
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="topic-writer")
        self._thread.start()
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(self, *sets: Sequence[Row]) -> None:
        """Write whole sets; when it returns, readers of committed records see them."""
        self._await(self._publish(sets))

    async def published(self, *sets: Sequence[Row]) -> None:
        """As ``publish``, for tests in an event loop."""
        await self._apart(self._publish(sets))

    async def published_as_they_are(self, *rows: Row) -> None:
        """As ``published``, for rows whose values no release can read."""
        await self._apart(self._publish([[row] for row in rows], _bare_headers))

    def abort(self, *sets: Sequence[Row]) -> None:
        """Write whole sets in a transaction that is aborted: nobody may ever see them."""
        self._await(self._write(sets, commit=False))

    def close(self) -> None:
        """End the clients and the thread."""
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _apart(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _publish(self, sets: Sequence[Sequence[Row]], headers: Describe = to_headers) -> None:
        offset = await self._write(sets, headers, commit=True)
        assert self._consumer is not None
        partition = TopicPartition(self._topic, 0)
        until = time.monotonic() + PATIENCE
        while (await self._consumer.end_offsets([partition]))[partition] <= offset:
            assert time.monotonic() < until, "what was committed cannot be read"
        self.end = max(self.end, *(row.position for rows in sets for row in rows))

    async def _write(self, sets: Sequence[Sequence[Row]], headers: Describe = to_headers, *, commit: bool) -> int:
        producer = await self._started()
        await producer.begin_transaction()
        sent = [
            await producer.send(
                self._topic,
                key=row.stream.encode(),
                value=row.value,
                headers=headers(row, self.log_id, index, len(rows)),
            )
            for rows in sets
            for index, row in enumerate(rows, 1)
        ]
        written = await asyncio.gather(*sent)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
        return max(int(record.offset) for record in written)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            await create_topics(self.settings)
            self._producer = AIOKafkaProducer(
                **client_options(self.settings, "test"), transactional_id=f"{self._topic}.test", acks="all"
            )
            await self._producer.start()
            self._consumer = committed_consumer(self.settings, "test")
            await self._consumer.start()
            self._consumer.assign([TopicPartition(self._topic, 0)])
        return self._producer

    async def _close(self) -> None:
        for client in (self._producer, self._consumer):
            if client is not None:
                await stop_quietly(client)


def _bare_headers(row: Row, log_id: str, set_index: int, set_size: int) -> list[tuple[str, bytes]]:
    """What restores the row, and nothing that stands in its value."""
    place = {"position": row.position, "sequence": row.sequence, "setindex": set_index, "setsize": set_size}
    told = {"type": row.type, "logid": log_id} | {name: str(value) for name, value in place.items()}
    return [(f"ce_{name}", value.encode()) for name, value in told.items()]
