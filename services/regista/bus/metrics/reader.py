"""Reading the metrics topic where no Faust does: one process of a group per partition, acknowledged when counted."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass

from aiokafka import TopicPartition

from regista.bus.clients import committed_consumer, raise_if_cancelled, start, stop_quietly
from regista.bus.faults import in_our_words
from regista.bus.metrics.intake import ReportIntake
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.within import set_within

_FETCHED = 500
_LONG_POLL_MS = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReaderState:
    """How reading stands; ``error`` says what it waits for to pass. Counts are since the start."""

    state: str
    taken: int
    too_old: int
    dead: int
    code: str | None = None
    error: str | None = None
    hint: str | None = None


def metrics_group(settings: KafkaSettings) -> str:
    """The consumer group of those who count without Faust."""
    return f"{settings.kafka_prefix}.experiments"


class ReportReader:
    """Counts what is on the topic until it is closed, through every outage. Belongs to one event loop."""

    def __init__(self, settings: KafkaSettings, intake: ReportIntake) -> None:
        self._settings = settings
        self._intake = intake
        self._topic = Topics(settings.kafka_prefix).metrics
        self._leaving = asyncio.Event()
        self._state = "starting"
        self._trouble: Exception | None = None

    async def run(self) -> None:
        """Read until ``close``."""
        failures = 0
        while not self._leaving.is_set():
            try:
                await self._read()
                failures = 0
            except asyncio.CancelledError:
                raise_if_cancelled()
            except Exception as error:  # noqa: BLE001 - whatever it is, a new consumer is the answer to it
                if str(error) != str(self._trouble):
                    _log.warning("Reports cannot be read now: %r", error)
                self._trouble, self._state = error, "waiting"
                failures = min(failures + 1, 6)
            if not self._leaving.is_set():
                await set_within(self._leaving, random.uniform(0.1, 0.3) * 2**failures)  # noqa: S311 - no secret
        self._state = "stopped"
        await self._intake.close()

    async def close(self) -> None:
        """End ``run`` after the records in hand."""
        self._leaving.set()

    def state(self) -> ReaderState:
        """How it stands."""
        counts = self._intake.counts
        code = error = hint = None
        if self._trouble is not None:
            said = in_our_words(self._settings, self._trouble)
            code, error, hint = said.code, said.detail, said.hint
        return ReaderState(self._state, counts.taken, counts.too_old, counts.dead, code, error, hint)

    async def _read(self) -> None:
        consumer = committed_consumer(
            self._settings,
            "metrics",
            group_id=metrics_group(self._settings),
            auto_offset_reset="earliest",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_500,
        )
        consumer.subscribe([self._topic])
        await start(consumer)
        try:
            self._state = "reading"
            while not self._leaving.is_set():
                batches = await consumer.getmany(timeout_ms=_LONG_POLL_MS, max_records=_FETCHED)
                self._trouble = None
                for partition, records in batches.items():
                    await self._intake.take(records)
                    await self._acknowledge(consumer, partition, records[-1].offset + 1)
        finally:
            await stop_quietly(consumer)

    async def _acknowledge(self, consumer: object, partition: TopicPartition, offset: int) -> None:
        """Another one may have the partition by now: it counts the same again, once."""
        try:
            await consumer.commit({partition: offset})  # type: ignore[attr-defined]  # aiokafka has no types
        except Exception as error:  # noqa: BLE001 - as above
            _log.debug("What was counted is not acknowledged: %r", error)
