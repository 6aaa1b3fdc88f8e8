"""The two topics of whoever publishes commands: orders out, results in."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from contextlib import suppress

from aiokafka import TopicPartition

from regista.bus.clients import raise_if_cancelled, reading
from regista.bus.commands.records import decode_result, encode_order, key_of
from regista.bus.faults import in_our_words, translated
from regista.bus.producer import KeptProducer
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import Damaged, TooLarge, Unavailable
from regista.wire.orders import CommandResult, Order

_LONG_POLL_MS = 500
_METADATA = 15.0
_ANSWER_WITHIN = 10.0
_log = logging.getLogger(__name__)


class Channel:
    """Open, it sends orders and hears every result of later. Belongs to one event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topics = Topics(settings.kafka_prefix)
        self._producer = KeptProducer(settings, "commands", answer_within=_ANSWER_WITHIN)
        self._heard: dict[TopicPartition, int] = {}
        self._waiting: defaultdict[tuple[str, str], list[asyncio.Future[CommandResult]]] = defaultdict(list)
        self._following: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. Every result that is published after this returned will be heard.

        Raises:
            Unavailable: Kafka does not answer, or lacks the topics.
            Forbidden, Unauthenticated: it does not allow it.
        """
        with translated(self._settings):
            producer = await self._producer.connected()
            async with asyncio.timeout(_METADATA):
                numbers = await producer.partitions_for(self._topics.results)
            partitions = [TopicPartition(self._topics.results, number) for number in numbers]
            async with reading(self._settings, "results", *partitions) as consumer:
                self._heard = dict(await consumer.end_offsets(partitions))
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Disconnect. Who waits for a result is told that it was not seen."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()
        await self._producer.drop()

    def expect(self, order: Order) -> asyncio.Future[CommandResult]:
        """The next result of a command, whichever of its copies it answers. Ask before sending."""
        future: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting[order.actor, order.command_id].append(future)
        return future

    def forget(self, order: Order, future: asyncio.Future[CommandResult]) -> None:
        """Nobody waits for this one any more."""
        futures = self._waiting.get((order.actor, order.command_id), [])
        with suppress(ValueError):
            futures.remove(future)
        if not futures:
            self._waiting.pop((order.actor, order.command_id), None)

    async def send(self, order: Order, within: float) -> str:
        """Send an order; its place on Kafka, ``topic/partition/offset``. Once it returns, the brokers keep it.

        Raises:
            Unavailable: ``not_published``: whether Kafka has it is not known; sending it again is harmless.
            TooLarge: neither the registry nor Kafka takes a command of this size.
            Invalid, Forbidden, Unauthenticated: it cannot be sent.
        """
        value, key = encode_order(order), key_of(order)
        try:
            async with asyncio.timeout(within):
                producer = await self._producer.connected()
                record = await producer.send_and_wait(self._topics.commands, value, key=key)
        except Exception as error:
            said = in_our_words(self._settings, error)
            if isinstance(said, TooLarge):
                raise said from error
            await self._producer.drop()
            if not isinstance(said, Unavailable):
                raise said from error
            why = f"no answer within {within:g} s" if isinstance(error, TimeoutError) else said.detail
            raise Unavailable(
                f"Whether Kafka has command {order.command_id} is not known: {why}.",
                code="not_published",
                hint="Publish it again with the same command_id: however many copies arrive, it is carried out once.",
            ) from error
        return f"{record.topic}/{record.partition}/{record.offset}"

    async def _follow(self) -> None:
        while True:
            try:
                await self._hear()
            except asyncio.CancelledError:
                raise_if_cancelled()
            except Exception as error:  # noqa: BLE001 - whatever it is, a new consumer is the answer to it
                _log.debug("No results can be heard now: %r", error)
            await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - no secret

    async def _hear(self) -> None:
        partitions = list(self._heard)
        async with reading(self._settings, "results", *partitions) as consumer:
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition, offset in self._heard.items():
                # A topic that was made anew begins behind what was heard.
                consumer.seek(
                    partition, offset if begins[partition] <= offset <= ends[partition] else begins[partition]
                )
            while True:
                for partition, records in (await consumer.getmany(timeout_ms=_LONG_POLL_MS)).items():
                    for record in records:
                        self._tell(record.value)
                    self._heard[partition] = records[-1].offset + 1

    def _tell(self, value: bytes | None) -> None:
        try:
            result = decode_result(value)
        except Damaged as error:
            _log.warning("%s", error)
            return
        for future in self._waiting.pop((result.actor, result.command_id), ()):
            if not future.done():
                future.set_result(result)
