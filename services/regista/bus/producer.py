"""One producer that is kept between the sends of whoever publishes now and then."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer

from regista.bus.clients import start, stop_quietly
from regista.bus.connection import client_options
from regista.bus.settings import KafkaSettings

ANSWER_WITHIN = 5.0
"""Seconds that a broker has to answer one request: who sends waits longer, so that there is time for another one."""


class KeptProducer:
    """Idempotent, connected when it is first asked for. Belongs to one event loop; drop it at the end."""

    def __init__(self, settings: KafkaSettings, role: str, *, answer_within: float = ANSWER_WITHIN) -> None:
        self._settings = settings
        self._role = role
        self._answer_within = answer_within
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()

    async def connected(self) -> AIOKafkaProducer:
        """The producer, started.

        Raises:
            TimeoutError, aiokafka.errors.KafkaError: as ``start``.
        """
        async with self._making:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **client_options(self._settings, self._role),
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=int(self._answer_within * 1000),
                    retry_backoff_ms=50,
                    max_request_size=int(self._settings.kafka_max_message),
                )
                await start(producer)
                self._producer = producer
            return self._producer

    async def drop(self) -> None:
        """Disconnect; who asks next gets a new one. One that failed may never work again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_quietly(producer)
