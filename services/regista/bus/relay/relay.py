"""The relay: publishes an outbox to Kafka, every entry exactly once and in order, whatever is killed when.

::

    1 lead      a lock, where there is one: comfort, not safety
    2 fence     a new producer with the shared transactional id ends every older relay's
    3 read      only then the checkpoint, committed records only, to its end
    4 batch     entries from the checkpoint on, itself included: it must still be there, else halt
    5 publish   the batch and the checkpoint behind it, in one transaction
    6 await     every send, then the commit, both with a time limit
    7 anything wrong: drop the producer, wait a little, go to 2; fenced: stand by until the other is gone

Reading before fencing would publish twice: what the older relay commits in between is not seen.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from regista.bus.clients import looking, raise_if_cancelled
from regista.bus.faults import in_our_words
from regista.bus.relay.checkpoint import Checkpoint
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.relay.outbox import LARGEST, Entry, Outbox
from regista.bus.relay.resuming import FOREIGN, check_still_there, diverged, resume
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import create_topics, ensure_topics
from regista.bus.topics.topology import Topics
from regista.domain.chain import advance_over
from regista.domain.errors import Damaged, Refused, RegistaError, Unavailable
from regista.store.leadership import Leadership
from regista.within import set_within

State: TypeAlias = Literal["starting", "leading", "waiting", "halted", "stopped"]
_IDLE = 1.0
_AHEAD = 100
_GONE = 5.0
_FROZEN = 10.0
_LOOK = 0.5
_LOOK_AT_TOPICS = 5.0
"""Seconds between looks whether the topics are there, while there is nothing to publish."""
_FINISH = 5.0
_PASSING = {"topics_not_created"}
"""Refusals that end by themselves: a cluster that is starting lacks brokers."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RelayState:
    """How the relay does. ``position`` is the newest published entry, ``newest`` the newest that there is.

    ``waiting``: for another relay, for Kafka or for the store; ``error`` says which. ``halted``: it will not go on
    until somebody did what ``hint`` says and started it again, or, with ``foreign_log``, put another log into the store.
    ``published`` counts since its start.
    """

    state: State = "starting"
    position: int = 0
    newest: int = 0
    published: int = 0
    error: str | None = None
    code: str | None = None
    hint: str | None = None

    @property
    def lag(self) -> int:
        """Positions that are still to be published: at least as many as entries, since there may be gaps."""
        return max(0, self.newest - self.position)


class Relay:
    """Publishes one outbox until it is closed. Belongs to one event loop; what blocks runs in threads."""

    def __init__(
        self, outbox: Outbox, settings: KafkaSettings, *, leadership: Leadership | None = None, largest: int = LARGEST
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._leadership = leadership
        self._largest = largest
        self._limit = largest
        self._state = RelayState()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._checked = False
        self._failures = 0
        self._fenced = False
        self._log_id = ""

    def state(self) -> RelayState:
        """How it does now."""
        return self._state

    def notify(self) -> None:
        """Something was added to the outbox."""
        self._outbox.notify()

    async def run(self) -> None:
        """Publish until ``close``. Halted, it stays, so that its state can be asked for."""
        self._task = asyncio.create_task(self._work())
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.wait([self._task])
        finally:
            self._task.cancel()
            watch.cancel()
            await asyncio.wait([self._task, watch])
            self._set("stopped")
        if not self._task.cancelled():
            self._task.result()

    async def close(self) -> None:
        """Finish the transaction under way, and stop; after five seconds stop all the same."""
        self._closing.set()
        self._outbox.notify()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_FINISH)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            while not self._closing.is_set():
                try:
                    await self._term()
                except asyncio.CancelledError:
                    raise_if_cancelled()
                except Exception as error:  # noqa: BLE001 - whatever it is, a new producer is the answer to it
                    if self._gave_up(error):
                        await self._stay(error)
                        continue
                seconds = random.uniform(0.1, 0.6) * min(8, 2 ** max(0, self._failures - 1))  # noqa: S311 - no secret
                await set_within(self._closing, seconds)
        finally:
            await self._give_up_the_lead()

    async def _stay(self, error: Exception) -> None:
        """Return when it is closed; where the store holds another log than Kafka, also when it is another one by then.

        A store that is being healed is a new log of its own until all of it is there.
        """
        await self._give_up_the_lead()
        if not isinstance(error, Refused) or error.code != FOREIGN:
            await self._closing.wait()
        while not self._closing.is_set():
            if await self._is_another_log():
                self._set("starting")
                return
            await set_within(self._closing, _IDLE)

    async def _is_another_log(self) -> bool:
        try:
            return await asyncio.to_thread(lambda: self._outbox.log_id) != self._log_id
        except RegistaError:
            return False

    async def _give_up_the_lead(self) -> None:
        if self._leadership is not None:
            await self._leadership.release()

    async def _term(self) -> None:
        """One attempt, from taking the lead to the first thing that goes wrong."""
        if self._leadership is not None:
            await self._take_the_lead(self._leadership)
        if self._fenced:
            await self._stand_by(_GONE)
        if self._closing.is_set():
            return
        again = self._checked
        if again:
            # What went wrong may have been they. One that brings nothing of the log back is made again.
            await check_still_there(self._settings, self._outbox)
            if self._settings.kafka_create_topics:
                await create_topics(self._settings)
        else:
            await self._check_topics()
        self._log_id = await asyncio.to_thread(lambda: self._outbox.log_id)
        producer = FencedProducer(self._settings, self._outbox.name, self._notes.topic)
        try:
            await producer.start()
            checkpoint = await resume(self._settings, self._outbox, producer)
            if again and not checkpoint.position:
                await self._check_topics()  # to begin with the first event is right in those that keep all of them
            await self._lead(producer, checkpoint)
        finally:
            await producer.close()

    async def _check_topics(self) -> None:
        """Make and check the topics.

        Raises:
            Refused: they are not what they must be.
        """
        for problem in await ensure_topics(self._settings):
            _log.warning("%s", problem)
        self._checked = True

    async def _lead(self, producer: FencedProducer, checkpoint: Checkpoint) -> None:
        self._state = replace(self._state, position=checkpoint.position)
        following: asyncio.Task[Sequence[Entry]] | None = None
        clock = asyncio.get_running_loop().time
        look_at = clock() + _LOOK_AT_TOPICS
        try:
            while not self._closing.is_set():
                read = following or self._reading(checkpoint)
                following = None
                entries = self._new(checkpoint, await read)
                if not entries:
                    self._leading()
                    await self._outbox.wait(checkpoint.position, _IDLE)
                    if clock() > look_at:
                        # With nothing to publish nothing else would say that they are gone, or others by now.
                        await self._look_at_topics(producer)
                        look_at = clock() + _LOOK_AT_TOPICS
                    continue
                checkpoint = _after(checkpoint, entries)
                if len(entries) >= _AHEAD:
                    following = self._reading(checkpoint)
                await producer.publish(entries, checkpoint)
                self._published(checkpoint, len(entries))
        finally:
            if following is not None:
                await asyncio.wait([following])
                if not following.cancelled():
                    following.exception()

    async def _look_at_topics(self, producer: FencedProducer) -> None:
        """Look whether the topics are there, and those that were published to; also whether that can be read.

        A broker that started anew meanwhile may have left it open: whoever begins anew closes it.

        Raises:
            Unavailable: ``topics_vanished``.
            Exception: anything that aiokafka raises.
        """
        await producer.check_topics(*(partition.topic for partition in self._needed))
        partitions = {*self._needed, *producer.published}
        async with looking(self._settings, f"relay.{self._outbox.name}.look", *partitions) as consumer:
            producer.check_ends(await consumer.end_offsets(partitions))

    def _reading(self, checkpoint: Checkpoint) -> asyncio.Task[Sequence[Entry]]:
        """Read in a thread: the next batch, while the present one is on its way."""
        return asyncio.create_task(asyncio.to_thread(self._read, checkpoint, self._limit + 1))

    def _read(self, checkpoint: Checkpoint, limit: int) -> Sequence[Entry]:
        """Entries of the checkpoint's log.

        Raises:
            Unavailable: ``log_replaced``: it is another one by now. To resume says whether that can be gone on with.
        """
        entries = self._outbox.read(checkpoint.position, limit)
        if (log_id := self._outbox.log_id) != checkpoint.log_id:
            raise Unavailable(f"The store became the log {log_id}.", code="log_replaced")
        return entries

    def _new(self, checkpoint: Checkpoint, entries: Sequence[Entry]) -> Sequence[Entry]:
        """What is behind the checkpoint, once it is sure that the log still holds the checkpoint itself.

        Raises:
            Damaged: ``log_diverged``.
        """
        if not checkpoint.position:
            return entries
        if not entries or (entries[0].position, entries[0].hash) != (checkpoint.position, checkpoint.hash):
            raise diverged(self._outbox, checkpoint, entries[0].position if entries else None)
        return entries[1:]

    def _leading(self) -> None:
        """All is well; what went wrong before is over only now, since a new producer alone repairs nothing."""
        self._failures = 0
        if self._state.state != "leading":
            _log.info("The relay of the %s leads, at position %d", self._outbox.name, self._state.position)
            self._set("leading")

    def _published(self, checkpoint: Checkpoint, count: int) -> None:
        self._leading()
        self._limit = min(self._largest, self._limit * 2)
        self._state = replace(
            self._state,
            position=checkpoint.position,
            newest=max(self._state.newest, checkpoint.position),
            published=self._state.published + count,
        )

    def _gave_up(self, error: Exception) -> bool:
        """Take note of what went wrong; whether it is nothing that passes."""
        self._failures += 1
        self._limit = 1  # so that what can be published is, and what cannot is alone
        fenced = isinstance(error, (ProducerFenced, InvalidProducerEpoch))
        self._fenced = self._fenced or fenced
        said = _standing_by() if fenced else in_our_words(self._settings, error)
        halted = isinstance(said, (Damaged, Refused)) and said.code not in _PASSING
        self._set("halted" if halted else "waiting", said)
        return halted

    async def _take_the_lead(self, leadership: Leadership) -> None:
        """Return when the lock is ours, or when whoever has it publishes nothing of what waits.

        A process that is stopped keeps its locks. To go on without is safe: the fence holds, whoever has the lock.
        """
        acquiring = asyncio.create_task(leadership.acquire())
        tasks: list[asyncio.Task[None]] = [acquiring]
        try:
            await asyncio.wait(tasks, timeout=_LOOK)
            if not acquiring.done():
                tasks.append(asyncio.create_task(self._stand_by(_FROZEN)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                task.cancelled() or task.exception()  # what came too late is of no interest

    async def _stand_by(self, patience: float) -> None:
        """Return when entries wait and, for ``patience`` seconds, nobody publishes them."""
        self._set("waiting", _standing_by())
        clock = asyncio.get_running_loop().time
        async with looking(self._settings, f"relay.{self._outbox.name}.standby", self._notes) as consumer:
            seen, since = -1, clock()
            while not self._closing.is_set() and clock() - since < patience:
                found = await newest_checkpoint(consumer, self._notes, self._outbox.name)
                position = found.position if found else 0
                if position != seen or self._state.newest <= position:
                    seen, since = position, clock()
                    self._state = replace(self._state, position=position)
                await set_within(self._closing, _LOOK)
        self._fenced = False

    async def _watch(self) -> None:
        """Keep knowing how much there is to publish, while Kafka keeps the relay waiting too."""
        while not self._closing.is_set():
            try:
                newest = await asyncio.to_thread(self._outbox.newest)
            except RegistaError:
                newest = self._state.newest  # reading the next batch says what is wrong with the store
            self._state = replace(self._state, newest=max(newest, self._state.position))
            await set_within(self._closing, _LOOK)

    def _set(self, state: State, error: RegistaError | None = None) -> None:
        if error is not None and error.code != self._state.code:
            _log.warning("The relay of the %s is %s: %s %s", self._outbox.name, state, error, error.hint or "")
        self._state = replace(
            self._state,
            state=state,
            error=error.detail if error else None,
            code=error.code if error else None,
            hint=error.hint if error else None,
        )

    @property
    def _needed(self) -> list[TopicPartition]:
        """What there is no going on without."""
        guarded = self._outbox.guarded
        return [self._notes] if guarded is None else [self._notes, TopicPartition(guarded, 0)]

    @property
    def _notes(self) -> TopicPartition:
        return TopicPartition(Topics(self._settings.kafka_prefix).relay, 0)


def _standing_by() -> Unavailable:
    return Unavailable("Another relay publishes; this one stands by.", code="relay_stands_by")


def _after(checkpoint: Checkpoint, entries: Sequence[Entry]) -> Checkpoint:
    head = advance_over(checkpoint.head, ((entry.position, entry.hash) for entry in entries))
    return replace(checkpoint, head=head, hash=entries[-1].hash)
