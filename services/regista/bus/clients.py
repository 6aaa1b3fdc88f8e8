"""aiokafka's clients as this project uses them: settings that were measured, and an end that always comes.

Two traits of aiokafka 0.14 are handled here and nowhere else: ``stop()`` may not return while the broker is away, and
a client may raise ``CancelledError`` though nobody cancelled the task that uses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
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

    def start(self) -> Coroutine[None, None, None]:
        """Connect."""


_leaving: set[asyncio.Task[None]] = set()
# An event loop holds its tasks weakly: what still stops when nobody waits any more must be kept by somebody.


async def stop_quietly(client: Client, timeout: float = STOP) -> None:  # noqa: ASYNC109 - a bound, whatever happens
    """Stop a producer, consumer or admin client; after ``timeout`` seconds it goes on stopping by itself.

    No failure of it is raised.
    """
    await _leave(_stop(client), timeout)


async def _leave(stopping: Coroutine[None, None, None], timeout: float) -> None:  # noqa: ASYNC109 - as above
    task = asyncio.create_task(stopping)
    _leaving.add(task)
    task.add_done_callback(_left)
    await asyncio.wait([task], timeout=timeout)


async def _stop(client: Client, starting: asyncio.Task[None] | None = None) -> None:
    if starting is not None:
        await asyncio.wait([starting], timeout=START)
        if starting.cancel() or starting.cancelled() or starting.exception():
            _log.debug("A Kafka client that was to be stopped had not started.")
    stop = getattr(client, "stop", None) or getattr(client, "close")  # noqa: B009 - a client has one or the other
    await stop()


def _left(task: asyncio.Task[None]) -> None:
    _leaving.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
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
    # A start that is cancelled leaves a connection open: who is cancelled leaves it to end by itself.
    starting = asyncio.create_task(client.start())
    try:
        async with asyncio.timeout(START):
            await asyncio.shield(starting)
    except BaseException:
        await _leave(_stop(client, starting), STOP)
        raise


def committed_consumer(settings: KafkaSettings, role: str, **options: object) -> AIOKafkaConsumer:
    """A consumer, not started, of committed records only. It belongs to no group: assign partitions and seek.

    Nothing is ever skipped in silence: an offset that does not exist is an error. Who seeks often chooses a small
    ``fetch_max_wait_ms``: a seek takes effect only when the fetch before it was answered (``looking``).
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
    """A started consumer of committed records, assigned to partitions of topics that exist, if any are given.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached.
    """
    consumer = committed_consumer(settings, role, **options)
    await start(consumer)
    try:
        if partitions:
            consumer.assign(list(partitions))
        yield consumer
    finally:
        await stop_quietly(consumer)


@asynccontextmanager
async def looking(settings: KafkaSettings, role: str, *partitions: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    """As ``reading``, for those who jump about instead of following: no fetch waits for records that are to come.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached.
    """
    async with reading(settings, role, *partitions, fetch_max_wait_ms=10) as consumer:
        yield consumer


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
