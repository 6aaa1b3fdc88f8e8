"""The deployer on Kafka: a Faust application that brings the events of the topic to what takes them.

Faust acknowledges an event whose agent raised, and shows aborted records unless it is told otherwise (both measured,
faust-streaming 0.15.3). So: at least once, committed records only by the subclass below, and agents that do nothing but
record durable work; an event is acknowledged when it was recorded, and an unexpected error ends the process before that.
What comes once more is left out by its position. No state is kept in Faust: the cursor is in the work database.

This module touches private names of faust: the version is pinned, and a test sees to it that aborted records stay unseen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import faust
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types.auth import CredentialsT

from regista.bus.connection import client_options
from regista.bus.events.envelope import received
from regista.bus.metrics.intake import Placed
from regista.bus.settings import KafkaSettings
from regista.bus.topics.rights import deployer_id
from regista.bus.topics.topology import Topics
from regista.domain.chain import Row
from regista.domain.errors import Damaged

ROLE: Final = "deployer"
FOLDER: Final = "faust"
BATCH: Final = 500
TICK: Final = 1.0
STOP_WITHIN: Final = 15.0
"""Seconds: a broker that is away keeps Faust from stopping for as long as it is."""
GIVE_UP_WITHIN: Final = 0.5
"""Seconds: before it has started there is nothing to be acknowledged."""
_TIMEOUT: Final = 6.0
"""Seconds without a word after which the group takes a worker for dead: the default is a minute of silence."""
_HEARTBEAT: Final = 1.5
_COMMIT_EVERY: Final = 1.0
_LONG_POLL_MS: Final = 50
"""How long the broker keeps a question for which it has no answer: Faust says 1.5 s.

aiokafka asks a broker one question at a time, and leaves a partition out whose records wait to be taken for longer than
0.1 s. A question about the topic of metrics alone then keeps the events waiting until the broker gives it up.
"""
logger = logging.getLogger("regista.deployer")

Take = Callable[[str, Sequence[Row]], Awaitable[None]]
"""Record what follows from rows of a log, durably, before it returns."""
TakeAll: TypeAlias = Callable[[Sequence[Any]], Awaitable[None]]
Assigned = Callable[[bool], Awaitable[None]]
"""Told who follows since members of the group came or went: whether this one does; before it is brought anything more."""
Count = Callable[[Sequence[Placed]], Awaitable[None]]
"""Count reports of what is measured, durably, before it returns."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as Faust hands it out, in the form that the envelope reads, and where it lay."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    topic: str = ""
    partition: int = 0
    offset: int = 0


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: driver.Transport) -> Any:  # noqa: ANN401 - aiokafka has no types
        consumer = super()._create_worker_consumer(transport)
        # Before it is started: the fetcher takes it from there. There is no setting for it.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - see the module's docstring
        consumer._fetch_max_wait_ms = _LONG_POLL_MS  # noqa: SLF001 - as above
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer


class CommittedApp(faust.App):
    """An application that reads committed records only."""

    def _new_transport(self) -> driver.Transport:
        return _Transport(self.conf.broker_consumer, self)


class EventsApp:
    """The application of one process. ``failed`` is set when it met what it cannot go on with: end the process then."""

    def __init__(
        self,
        settings: KafkaSettings,
        data: Path,
        take: Take,
        tick: Callable[[], None],
        count: Count | None = None,
        *,
        place: str,
        assigned: Assigned,
    ) -> None:
        """``take`` gets the rows in the order of the log, ``count`` what is measured; ``tick`` is called once a second.

        ``place`` tells it from those who work elsewhere, and is seen by them (``client_id``).
        """
        self._take = take
        self._events = Topics(settings.kafka_prefix).events
        self._place = place
        self._assigned = assigned
        self._count = count
        self._tick = tick
        self._recording, self._measuring = asyncio.Lock(), asyncio.Lock()
        self._steps: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self.failed = asyncio.Event()
        self.trouble: BaseException | None = None
        self.app = self._make(settings, data)

    async def run(self) -> None:
        """Work until ``close``; what was recorded is acknowledged before it returns.

        Raises:
            Exception: what it cannot go on with.
        """
        starting = asyncio.create_task(self.app.start())
        stopped = asyncio.create_task(self._stopped.wait())
        is_started = False
        try:
            await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if is_started := starting.done():
                await starting
                await stopped
        finally:
            for task in (starting, stopped):
                task.cancel()
            await self._stop(STOP_WITHIN if is_started else GIVE_UP_WITHIN)
            ended, _ = await asyncio.wait([starting], timeout=GIVE_UP_WITHIN)
            if not is_started and ended and not starting.cancelled():
                logger.debug("Faust did not start: %s", starting.exception())
        if self.trouble is not None:
            raise self.trouble

    async def _stop(self, within: float) -> None:
        """Stop within a bound: what could not be acknowledged comes once more, and is left out by its position."""
        try:
            async with asyncio.timeout(within):
                await self.app.stop()
        except TimeoutError:
            logger.warning("Faust did not stop within %g s: it is left to itself", within)
        for step in self._steps:
            step.cancel()
        await asyncio.gather(*self._steps, return_exceptions=True)

    async def close(self) -> None:
        """End ``run``."""
        self._stopped.set()

    def _make(self, settings: KafkaSettings, data: Path) -> CommittedApp:
        app = CommittedApp(
            deployer_id(settings),
            loop=asyncio.get_running_loop(),
            broker=";".join(f"kafka://{address}" for address in (settings.kafka or "").split(",")),
            broker_credentials=credentials(settings),
            broker_client_id=client_id(settings, self._place),
            broker_session_timeout=_TIMEOUT,
            broker_rebalance_timeout=_TIMEOUT,
            broker_heartbeat_interval=_HEARTBEAT,
            broker_commit_interval=_COMMIT_EVERY,
            processing_guarantee="at_least_once",
            consumer_auto_offset_reset="earliest",
            key_serializer="raw",
            value_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            autodiscover=False,
            web_enabled=False,
            datadir=str(data / FOLDER),
            worker_redirect_stdouts=False,
        )
        app.on_partitions_assigned.connect(self._told)
        events = app.topic(self._events, key_type=bytes, value_type=bytes)
        app.agent(events, concurrency=1, name="events")(self._follow)
        app.timer(TICK)(self._ticks)
        if self._count is not None:
            measured = app.topic(Topics(settings.kafka_prefix).metrics, key_type=bytes, value_type=bytes)
            app.agent(measured, concurrency=1, name="metrics")(self._measure)
        return app

    async def _told(self, _app: Any, /, *told: Any, **_: Any) -> None:  # noqa: ANN401 - a signal's receiver
        """Begin with what was assigned; not waited for, since the group waits meanwhile. What is brought does wait."""
        follows = any(partition.topic == self._events for partition in told[0])
        step = asyncio.create_task(self._begin(follows))
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)

    async def _begin(self, follows: bool) -> None:
        async with self._recording:
            try:
                await self._assigned(follows)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing must be taken behind it
                await self._fail(error)

    async def _ticks(self) -> None:
        self._tick()

    async def _follow(self, stream: Any) -> None:  # noqa: ANN401 - Faust's streams are not typed to be used
        await self._in_steps(stream, self._record, self._recording)

    async def _measure(self, stream: Any) -> None:  # noqa: ANN401 - as above
        await self._in_steps(stream, self._count_reports, self._measuring)

    async def _in_steps(self, stream: Any, step: TakeAll, alone: asyncio.Lock) -> None:  # noqa: ANN401 - as above
        """Take in one step whatever came while the step before was under way, and acknowledge it when it was taken."""
        waiting: list[Any] = []
        taking: asyncio.Task[None] | None = None
        async for event in stream.noack().events():
            waiting.append(event)
            if taking is None or taking.done():
                taking = asyncio.create_task(self._take_all(waiting, step, alone))
                self._steps.add(taking)
                taking.add_done_callback(self._steps.discard)
            if len(waiting) >= BATCH:
                await asyncio.wait([taking])

    async def _take_all(self, waiting: list[Any], step: TakeAll, alone: asyncio.Lock) -> None:
        """``alone``: after a rebalance an agent begins anew while what the one before it took is still being written."""
        async with alone:
            while waiting:
                taken = waiting[:BATCH]
                try:
                    await step(taken)
                except Exception as error:  # noqa: BLE001 - whatever it is, it must not be acknowledged
                    await self._fail(error)
                del waiting[: len(taken)]
                for done in taken:
                    done.ack()

    async def _record(self, events: Sequence[Any]) -> None:
        rows: list[Row] = []
        log_id = ""
        for event in events:
            found = received(_record(event.message))
            if log_id not in {"", found.log_id}:
                raise Damaged(
                    f"{event.message.topic} holds events of two logs", code="foreign_event",
                    hint="Each log needs a prefix of its own.",
                )  # fmt: skip
            log_id = found.log_id
            rows.append(found.row)
        await self._take(log_id, rows)

    async def _count_reports(self, events: Sequence[Any]) -> None:
        assert self._count is not None  # else there is no such agent
        await self._count([_record(event.message) for event in events])

    async def _fail(self, error: BaseException) -> None:
        """Stand still, so that nothing is acknowledged, until the process has ended."""
        logger.error("the deployer cannot go on: %s", error, exc_info=error)
        self.trouble = error
        self.failed.set()
        self._stopped.set()
        await asyncio.Event().wait()


def client_id(settings: KafkaSettings, place: str) -> str:
    """What a member of the group is called that works at a place."""
    return f"{settings.kafka_prefix}.{ROLE}.{place}"


def credentials(settings: KafkaSettings) -> CredentialsT | None:
    """Who the application is, and how it checks the brokers: as every other client of this project.

    Raises:
        Invalid: ``kafka_certificates``, ``kafka_token_provider``.
    """
    options = client_options(settings, ROLE)
    tls = options.get("ssl_context")
    if "sasl_oauth_token_provider" in options:
        return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=tls)
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            ssl_context=tls,
            mechanism=options["sasl_mechanism"],
        )
    return None if tls is None else SSLCredentials(context=tls)


def _record(message: Any) -> Record:  # noqa: ANN401 - Faust's messages hold anything
    headers = message.headers
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return Record(message.key, message.value, tuple(pairs), message.topic, message.partition, message.offset)
