"""Publishing reports on Kafka: for gateways and model servers, and for the API that takes reports in for others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from regista.bus.faults import in_our_words
from regista.bus.metrics.records import encode_report, key_of
from regista.bus.producer import KeptProducer
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import Unavailable
from regista.wire.inference import InferenceReport

WITHIN = 10.0
"""Seconds that Kafka has to keep what is published."""


class ReportPublisher:
    """Sends reports, connected when the first is sent. Belongs to one event loop; close it."""

    def __init__(self, settings: KafkaSettings, *, within: float = WITHIN) -> None:
        self._settings = settings
        self._topic = Topics(settings.kafka_prefix).metrics
        self._within = within
        self._producer = KeptProducer(settings, "metrics")

    async def publish(self, reports: Sequence[InferenceReport]) -> None:
        """Send reports. Once it returns, the brokers keep all of them; each counts once, however often it is sent.

        Raises:
            Unavailable: ``not_published``: whether Kafka has all of them is not known: publish the same again.
            Invalid: one cannot be written.
            TooLarge, Forbidden, Unauthenticated: Kafka does not take them.
        """
        records = [(encode_report(report), key_of(report)) for report in reports]
        try:
            async with asyncio.timeout(self._within):
                producer = await self._producer.connected()
                await asyncio.gather(*[await producer.send(self._topic, value, key=key) for value, key in records])
        except Exception as error:
            await self.close()
            said = in_our_words(self._settings, error)
            if not isinstance(said, Unavailable):
                raise said from error
            why = f"no answer within {self._within:g} s" if isinstance(error, TimeoutError) else said.detail
            raise Unavailable(
                f"Whether Kafka has the reports is not known: {why}",
                code="not_published",
                hint="Send the same reports again: by their ids each counts once.",
            ) from error

    async def close(self) -> None:
        """Disconnect; the next report connects anew."""
        await self._producer.drop()
