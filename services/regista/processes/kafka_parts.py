"""What a process runs of Kafka, as parts that its status shows: the relays of a log, and the check of its topics.

Kafka being away keeps nothing from starting: commands go on, and what follows catches up. Topics that are not what they
must be are another matter: with them a guarantee would not hold.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict

from regista.bus.commands.intake import CommandIntake
from regista.bus.commands.results import ResultsOutbox
from regista.bus.events.tail import CommittedTail, KafkaCopy
from regista.bus.relay.outbox import EventsOutbox, Outbox
from regista.bus.relay.relay import Relay
from regista.bus.topics.administration import ensure_topics
from regista.bus.topics.topology import Topics
from regista.domain.errors import Reason, Unavailable
from regista.http.metrics import Metrics
from regista.http.parts import Part, PartState
from regista.registrar.service import Registrar
from regista.settings import Settings
from regista.store.leadership import FileLeadership, Leadership
from regista.store.log import LogReader, LogStore
from regista.tasks import Tasks

AT_START = 5.0
"""Seconds that a start waits for a word about the topics."""
logger = logging.getLogger("regista.kafka")


async def check_topics_at_start(settings: Settings) -> None:
    """Create and check the topics, where Kafka answers.

    Raises:
        Refused: they are not what they must be.
    """
    try:
        async with asyncio.timeout(AT_START):
            for problem in await ensure_topics(settings):
                logger.warning("%s", problem)
    except TimeoutError:
        logger.warning("Kafka at %s does not answer yet", settings.kafka)
    except Unavailable as error:
        logger.warning("%s", error.detail)


class RelayPart:
    """A relay, as the status shows it. A halted one hinders: its store is not the log that Kafka has."""

    def __init__(self, name: str, outbox: Outbox, settings: Settings) -> None:
        self.name = name
        self.relay = Relay(outbox, settings, leadership=_leadership(outbox.name, settings))

    def state(self) -> PartState:
        """How the relay stands."""
        found = self.relay.state()
        shown = {
            "state": found.state,
            "position": found.position,
            "lag": found.lag,
            "published": found.published,
            "code": found.code,
            "error": found.error,
            "hint": found.hint,
        }
        if found.state != "halted":
            return PartState(shown)
        return PartState(
            shown, Reason(found.code or "relay_halted", found.error or "it has halted", self.name, found.hint)
        )

    def said(self) -> str:
        """The same in words."""
        found = self.relay.state()
        if found.state == "halted":
            return (
                f"The relay has halted ({found.code}), and waiting does not help before somebody did what it says: "
                f"{found.error or ''} {found.hint or ''}".rstrip()
            )
        if found.error is not None:
            return f"The relay waits ({found.code}): {found.error}"
        return f"The relay is at position {found.position}; /v1/status shows how it goes on."


class IntakePart:
    """The intake of commands, as status and metrics show it.

    A halted one hinders nothing: HTTP, the log and the views go on while a partition of commands waits for somebody.
    """

    name = "intake"

    def __init__(self, intake: CommandIntake) -> None:
        self.intake = intake

    def state(self) -> PartState:
        """How the intake stands."""
        return PartState(asdict(self.intake.state()))


class Acknowledging:
    """What answers wait for where they are acknowledged by Kafka; ``copy`` is None where they are not."""

    def __init__(self, settings: Settings, log: LogReader) -> None:
        self._tail = CommittedTail(settings) if settings.acknowledge == "kafka" else None
        self.copy = None if self._tail is None else KafkaCopy(log, self._tail)

    def start(self, tasks: Tasks) -> None:
        """Follow what consumers can read."""
        if self._tail is not None:
            tasks.start("the tail", self._tail.run())

    async def close(self) -> None:
        """Tell those who wait that it was not seen."""
        if self._tail is not None:
            await self._tail.close()


class Publishing:
    """The relays of a log: of its events, and of the results of commands that came by Kafka.

    Another process may relay the events: how far those are is known from Kafka, by ``acknowledging``.
    """

    def __init__(self, settings: Settings, log: LogReader, metrics: Metrics, acknowledging: Acknowledging) -> None:
        topics = Topics(settings.kafka_prefix)
        events = EventsOutbox(log, topics.events)
        copy = acknowledging.copy
        results = ResultsOutbox(log, topics, acknowledged=None if copy is None else copy.position)
        self.parts = (RelayPart("relay", events, settings), RelayPart("results", results, settings))
        for part in self.parts:
            metrics.observe_relay(part.name, part.relay.state)

    def start(self, tasks: Tasks) -> None:
        """Run the relays."""
        for part in self.parts:
            tasks.start(part.name, part.relay.run())

    def notify(self) -> None:
        """Something was appended."""
        for part in self.parts:
            part.relay.notify()

    async def close(self) -> None:
        """End the relays after the transaction in hand."""
        await asyncio.gather(*(part.relay.close() for part in self.parts))


class KafkaSide:
    """What a registrar's process runs of Kafka: the intake of commands, the relays where they are its own, the tail.

    ``acknowledging`` is what its answers wait for.
    """

    def __init__(
        self,
        settings: Settings,
        store: LogStore,
        registrar: Registrar,
        metrics: Metrics,
        *,
        publishes: bool,
    ) -> None:
        self._settings = settings
        self.acknowledging = Acknowledging(settings, store)
        self._publishing = Publishing(settings, store, metrics, self.acknowledging) if publishes else None
        self._intake = IntakePart(
            CommandIntake(
                settings, registrar, store, alone=settings.log_url is None, told=self.notify, observe=metrics.write
            )
        )
        metrics.observe_intake(self._intake.intake.state)

    def of_the_relay(self) -> str:
        """What this process knows of the relay of the events, for those whose answer is not on Kafka in time."""
        if self._publishing is None:
            return "Another process relays (regista relay): its /v1/status says whether it has halted, and what to do."
        return self._publishing.parts[0].said()

    @property
    def parts(self) -> tuple[Part, ...]:
        """For the status."""
        return (*(self._publishing.parts if self._publishing else ()), self._intake)

    async def start(self, tasks: Tasks) -> None:
        """Check the topics and run everything.

        Raises:
            Refused: the topics are not what they must be.
        """
        await check_topics_at_start(self._settings)
        if self._publishing is not None:
            self._publishing.start(tasks)
        self.acknowledging.start(tasks)
        tasks.start("the intake", self._intake.intake.run())

    def notify(self) -> None:
        """Something was appended."""
        if self._publishing is not None:
            self._publishing.notify()

    async def close(self) -> None:
        """End the intake first, so that what it took is published; then the rest."""
        await self._intake.intake.close()
        if self._publishing is not None:
            await self._publishing.close()
        await self.acknowledging.close()


def _leadership(name: str, settings: Settings) -> Leadership:
    """Which relay of a log works while the others stand by."""
    if settings.log_url is None:
        return FileLeadership(settings.data / f"relay.{name}.lock")
    from regista.store.postgres import PostgresLeadership  # noqa: PLC0415 - an extra of its own

    return PostgresLeadership(settings.log_url, name)
