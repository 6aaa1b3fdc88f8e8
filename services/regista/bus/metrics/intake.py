"""Records of the metrics topic into reports that are counted, whoever read them: ``ReportReader``, or Faust.

What cannot be counted goes to the dead letters, bytes and headers unchanged, before anything behind it is acknowledged.
After a crash in between the letter is there twice. Reports that are only too old are left out: nobody wants them back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from regista.bus.commands.dead_letters import dead_letter
from regista.bus.commands.records import answering, source_name
from regista.bus.events.envelope import Consumed
from regista.bus.faults import translated
from regista.bus.metrics.records import decode_report
from regista.bus.producer import KeptProducer
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import Internal, RegistaError
from regista.store.append import Outgoing
from regista.wire.inference import InferenceReport

WITHIN = 10.0
_TOO_OLD = "too_old"
logger = logging.getLogger("regista.bus.metrics")


class Placed(Consumed, Protocol):
    """A record, and where it lay."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its offset."""


@dataclass(slots=True)
class IntakeCounts:
    """What became of records since the start."""

    taken: int = 0
    too_old: int = 0
    dead: int = 0


class ReportIntake:
    """Counts the reports of records. ``check`` raises for a report that cannot be counted; ``add`` counts."""

    def __init__(
        self,
        settings: KafkaSettings,
        add: Callable[[Sequence[InferenceReport]], Awaitable[None]],
        check: Callable[[InferenceReport], None],
    ) -> None:
        self._settings = settings
        self._add = add
        self._check = check
        self._producer = KeptProducer(settings, "metrics")
        self._letters = Topics(settings.kafka_prefix).dead_letters
        self.counts = IntakeCounts()

    async def take(self, records: Sequence[Placed]) -> None:
        """Count them. Once it returns all are counted, or are dead letters; taken again they change nothing.

        Raises:
            RegistaError: the work database or Kafka is away: take the same again.
        """
        reports, letters = [], []
        for record in records:
            try:
                report = decode_report(record.value)
                self._check(report)
            except RegistaError as error:
                if error.reasons and all(reason.code == _TOO_OLD for reason in error.reasons):
                    self.counts.too_old += 1
                else:
                    letters.append(self._letter(record, error))
            except Exception as error:
                # It would be so again: what is behind this record is not to wait for a new release.
                logger.exception("offset %d of partition %d cannot be looked at", record.offset, record.partition)
                letters.append(self._letter(record, Internal(repr(error), code="defect")))
            else:
                reports.append(report)
        if reports:
            await self._add(reports)
        if letters:
            await self._tell(letters)
        self.counts.taken += len(reports)
        self.counts.dead += len(letters)

    async def close(self) -> None:
        """Disconnect."""
        await self._producer.drop()

    def _letter(self, record: Placed, error: RegistaError) -> Outgoing:
        about = answering(source_name(record.topic, record.partition), record.offset, None)
        most = int(self._settings.kafka_max_message)
        return dead_letter(record, about, error, time_ms=int(time.time() * 1000), max_bytes=most)

    async def _tell(self, letters: Sequence[Outgoing]) -> None:
        try:
            with translated(self._settings):
                async with asyncio.timeout(WITHIN):
                    producer = await self._producer.connected()
                    sent = [
                        await producer.send(self._letters, letter.value, key=letter.key, headers=list(letter.headers))
                        for letter in letters
                    ]
                    await asyncio.gather(*sent)
        except BaseException:
            await self.close()
            raise
