"""aiokafka's clients as this project uses them: settings that were measured, and an end that always comes.

Two traits of aiokafka 0.14 are handled here and nowhere else: ``stop()`` may never return while the broker is away,
and a consumer's ``stop()`` may raise ``CancelledError`` though nobody cancelled the task that called it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from regista.bus.connection import client_options
from regista.bus.settings import KafkaSettings

START = 30.0
"""Seconds that a client may take to start; measured: 0.2 usually, 12.6 once across a broker's restart."""
STOP = 3.0
"""Seconds that a client may take to stop before it is left to itself."""
BATCH = 5000
"""Records that one ``getmany`` asks for."""
_log = logging.getLogger(__name__)


class Client(Protocol):
    """What producers, consumers and admin clients have in common."""

    async def start(self) -> None:
        """Connect."""


async def stop_quietly(client: object, timeout: float = STOP) -> None:  # noqa: ASYNC109 - a bound, whatever happens
    """Stop a producer, consumer or admin client, or leave it after ``timeout`` seconds. No failure is raised.

    Raises:
        asyncio.CancelledError: only when the task that calls this was cancelled.
    """
    stop = getattr(client, "stop", None) or getattr(client, "close")  # noqa: B009 - a client has one or the other
    try:
        async with asyncio.timeout(timeout):
            await stop()
    except asyncio.CancelledError:
        raise_if_cancelled()
    except Exception as error:  # noqa: BLE001 - the client is not used again, whatever it says
        _log.debug("A Kafka client did not stop in order: %r", error)


def raise_if_cancelled() -> None:
    """Called where ``CancelledError`` was caught: raise it again if this task was cancelled, and not a client's leak.

    Raises:
        asyncio.CancelledError: somebody wants the current task to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def start(client: Client) -> None:
    """Start a client; one that cannot start is stopped.

    Raises:
        TimeoutError: it did not start within ``START`` seconds.
        aiokafka.errors.KafkaError: whatever keeps it from it.
    """
    try:
        async with asyncio.timeout(START):
            await client.start()
    except BaseException:
        await stop_quietly(client)
        raise


def committed_consumer(settings: KafkaSettings, role: str, **options: object) -> AIOKafkaConsumer:
    """A consumer, not started, of committed records only. It belongs to no group: assign partitions and seek.

    Nothing is ever skipped in silence: an offset that does not exist is an error.
    """
    chosen: dict[str, object] = {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "max_partition_fetch_bytes": 8 * 2**20,
        "fetch_max_bytes": 32 * 2**20,
        "request_timeout_ms": 10_000,
        "retry_backoff_ms": 50,
        **options,
    }
    return AIOKafkaConsumer(**client_options(settings, role), **chosen)


@asynccontextmanager
async def reading(
    settings: KafkaSettings, role: str, *partitions: TopicPartition, **options: object
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of committed records, assigned to partitions of topics that exist.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached.
    """
    consumer = committed_consumer(settings, role, **options)
    await start(consumer)
    try:
        consumer.assign(list(partitions))
        yield consumer
    finally:
        await stop_quietly(consumer)


@asynccontextmanager
async def administering(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached.
    """
    admin = AIOKafkaAdminClient(**client_options(settings, "admin"), request_timeout_ms=15_000)
    await start(admin)
    try:
        yield admin
    finally:
        await stop_quietly(admin)
