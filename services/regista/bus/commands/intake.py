"""Taking commands in from Kafka: the partitions that this registrar has of the consumer group, each a queue of its own.

Several registrars on one log share the partitions; one that has its log for itself takes all, without asking a group.
Which of them has one is a matter of comfort: the store takes each record in once, whoever brings it
(``regista.registrar.taking``).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from regista.bus.clients import committed_consumer, raise_if_cancelled, start, stop_quietly
from regista.bus.commands.pruning import keep_pruned
from regista.bus.commands.queue import Queue
from regista.bus.commands.same import HALTS
from regista.bus.faults import in_our_words
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.errors import RegistaError
from regista.domain.times import Clock, utc_now
from regista.registrar.service import Registrar
from regista.registrar.taking import Observe, Taker
from regista.store.log import LogStore
from regista.within import set_within

State: TypeAlias = Literal["starting", "taking", "waiting", "halted", "stopped"]
_LOOK = 1.0
_METADATA = 15.0
_ANSWER = 5.0
_SESSION_MS = 6_000
_HANDOVER = 5.0
"""Seconds that what is being appended may take before a partition goes to another registrar."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeState:
    """How the intake does. ``taken`` counts commands since its start, ``lag`` offsets that are still to be taken in.

    ``waiting``: for Kafka, or a partition for the store; ``error`` says why. ``halted``: nothing is taken in from a
    partition until somebody did what ``hint`` says; the others go on. ``taking`` with no partitions is well: other
    registrars have them. ``begun_anew`` counts partitions that were found to be those of a topic made anew.
    """

    state: State = "starting"
    partitions: tuple[int, ...] = ()
    taken: int = 0
    lag: int = 0
    begun_anew: int = 0
    error: str | None = None
    code: str | None = None
    hint: str | None = None


def group_of(settings: KafkaSettings) -> str:
    """The consumer group of a log's registrars."""
    return f"{settings.kafka_prefix}.intake"


class CommandIntake:
    """Takes commands in until it is closed, through every outage of Kafka and of the store."""

    name = "intake"

    def __init__(
        self,
        settings: KafkaSettings,
        registrar: Registrar,
        store: LogStore,
        *,
        alone: bool = False,
        told: Callable[[], None] = lambda: None,
        observe: Observe = lambda _type, _outcome, _seconds: None,
        clock: Clock = utc_now,
    ) -> None:
        """``alone``: no other registrar can have this log, as where it is a file.

        ``told`` is called when there are results to publish; ``observe`` for each command taken in.
        """
        self._settings = settings
        self._store = store
        self._alone = alone
        self._taker = Taker(registrar, observe=observe, clock=clock)
        self._told = told
        self._clock = clock
        self._topic = Topics(settings.kafka_prefix).commands
        self._queues: dict[TopicPartition, Queue] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._taken_before = 0
        self._begun_anew_before = 0
        self._error: RegistaError | None = None
        self._started = False
        self._stopped = False
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def state(self) -> IntakeState:
        """How it does now."""
        stands = {partition.partition: queue.progress for partition, queue in self._queues.items()}
        errors = [one.error for one in stands.values() if one.error is not None]
        halted = next((error for error in errors if error.code in HALTS), None)
        error = halted or self._error or next(iter(errors), None)
        state: State = "taking" if self._started else "starting"
        if error is not None:
            state = "waiting" if halted is None else "halted"
        return IntakeState(
            state="stopped" if self._stopped else state,
            partitions=tuple(sorted(stands)),
            taken=self._taken_before + sum(one.taken for one in stands.values()),
            lag=sum(one.lag for one in stands.values()),
            begun_anew=self._begun_anew_before + sum(one.begun_anew for one in stands.values()),
            error=error.detail if error else None,
            code=error.code if error else None,
            hint=error.hint if error else None,
        )

    async def run(self) -> None:
        """Take in until ``close``."""
        self._task = asyncio.create_task(self._work())
        try:
            await asyncio.wait([self._task])
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._stopped = True
        if not self._task.cancelled():
            self._task.result()

    async def close(self) -> None:
        """Finish what is being appended, and stop."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=2 * _HANDOVER)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        failures = 0
        pruning = asyncio.create_task(keep_pruned(self._settings, self._store))
        try:
            while not self._closing.is_set():
                try:
                    await self._consume()
                    failures = 0
                except asyncio.CancelledError:
                    raise_if_cancelled()
                except Exception as error:  # noqa: BLE001 - whatever it is, a new consumer is the answer to it
                    failures += 1
                    self._note(in_our_words(self._settings, error))
                    await set_within(self._closing, random.uniform(0.1, 0.6) * min(8, 2**failures))  # noqa: S311 - no secret
        finally:
            pruning.cancel()
            await asyncio.wait([pruning])

    async def _consume(self) -> None:
        """Have partitions until it is closed, or something is wrong with the consumer."""
        consumer = committed_consumer(
            self._settings,
            self.name,
            group_id=None if self._alone else group_of(self._settings),
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_SESSION_MS // 4,
        )
        try:
            await start(consumer)
            self._consumer = consumer
            if self._alone:
                await self._take_all(consumer)
            else:
                consumer.subscribe([self._topic], listener=_Rebalancing(self, consumer))
            self._started, self._error = True, None
            await self._watch(consumer)
        finally:
            self._consumer = None
            await self.release(list(self._queues))
            await stop_quietly(consumer)

    async def _take_all(self, consumer: AIOKafkaConsumer) -> None:
        """Take every partition there is."""
        first = TopicPartition(self._topic, 0)
        consumer.assign([first])
        async with asyncio.timeout(_METADATA):
            await consumer.end_offsets([first])  # learns the others on the way
        every = [TopicPartition(self._topic, number) for number in sorted(consumer.partitions_for_topic(self._topic))]
        consumer.assign(every)
        self.assigned(consumer, every)

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Return when it is closed, or when there are partitions that nobody has.

        Raises:
            Exception: what keeps the consumer out of its group, or Kafka out of reach.
        """
        while not self._closing.is_set():
            # Told to callers of getmany, of whom there are none without partitions.
            consumer._coordinator.check_errors()  # noqa: SLF001 - aiokafka has no other way to ask
            known = consumer.partitions_for_topic(self._topic)
            if self._alone and known is not None and len(known) > len(self._queues):
                return
            await self._look_ahead(consumer)
            await set_within(self._closing, _LOOK)

    async def _look_ahead(self, consumer: AIOKafkaConsumer) -> None:
        """Learn where the partitions end, and whether Kafka answers: a consumer waits for it in silence."""
        queues = dict(self._queues)
        try:
            async with asyncio.timeout(_ANSWER):
                ends = await consumer.end_offsets(list(queues)) if queues else {}
        except (KafkaError, OSError, TimeoutError) as error:
            self._note(in_our_words(self._settings, error))
            return
        for partition, end in ends.items():
            queues[partition].saw_end(end)
        self._error = None

    def assigned(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """Begin to take partitions in, unless the consumer is on its way out: a rebalance may end meanwhile."""
        if consumer is not self._consumer:
            return
        for partition in partitions:
            queue = Queue(
                consumer,
                partition,
                self._taker,
                self._store,
                max_bytes=int(self._settings.kafka_max_message),
                clock=self._clock,
                told=self._told,
            )
            self._queues[partition] = queue
            queue.start()

    async def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop taking partitions in, after what is being appended."""
        queues = [self._queues.pop(partition) for partition in partitions if partition in self._queues]
        for queue in queues:
            queue.stop()
        tasks = [queue.task for queue in queues if queue.task is not None]
        if tasks:
            # What is still appended after that meets the store's offset, as whatever the next taker appends does.
            await asyncio.wait(tasks, timeout=_HANDOVER)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        self._taken_before += sum(queue.progress.taken for queue in queues)
        self._begun_anew_before += sum(queue.progress.begun_anew for queue in queues)

    def _note(self, error: RegistaError) -> None:
        if self._error is None or self._error.code != error.code:
            _log.warning("No commands are taken in: %s %s", error, error.hint or "")
        self._error = error


class _Rebalancing(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Tells the intake which partitions it has."""

    def __init__(self, intake: CommandIntake, consumer: AIOKafkaConsumer) -> None:
        self._intake = intake
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        """Before others may have them."""
        await self._intake.release(revoked)

    async def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        """Once they are ours."""
        self._intake.assigned(self._consumer, assigned)
