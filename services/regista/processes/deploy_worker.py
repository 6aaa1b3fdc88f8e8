"""``regista deploy``: deployments and experiments by a process of its own, from Kafka where there is one, else from the log's store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from regista.deployer.targets import Registry
from regista.domain.chain import Head as LogHead
from regista.domain.chain import Row
from regista.domain.errors import Damaged, Unavailable
from regista.http.parts import Part
from regista.processes.deploying import clients_outside, make_deployer
from regista.processes.following import Following
from regista.processes.measuring import Judging
from regista.processes.workers import Worker
from regista.settings import Settings
from regista.storage import open_private
from regista.work.consumer import Consumer
from regista.work.database import Work
from regista.work.taking import take_together

if TYPE_CHECKING:
    from regista.deployer.app import EventsApp

_PATIENCE = 30.0
"""Seconds that the work database may be away before the process ends, for whoever watches it to start it anew."""
_AGAIN = 0.5
logger = logging.getLogger("regista.workers")


class DeployWorker(Worker):
    """Deploys. With Kafka it catches up by itself, then a Faust application brings what comes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._following = Following(settings, self.open_log)
        feed = self._following.feed
        private = open_private(settings)
        self._opened.callback(private.close)
        self._work = work = Work.open(settings)
        self._opened.callback(work.close)
        clients = clients_outside(settings)
        self._judging = Judging(settings, work, feed, clients, self.metrics.registry, hindering=True)
        self._deployer = make_deployer(
            settings,
            work,
            feed,
            clients,
            registry=lambda: Registry(settings.url, settings.bearer),
            secrets=private,
            metrics=self.metrics.registry,
        )
        self._leaving = asyncio.Event()
        self._app: EventsApp | None = None
        self.metrics.observe(self.end, self.views)

    @property
    def parts(self) -> Sequence[Part]:
        """Deployments, what endpoints follow, experiments: that is all that it does."""
        return (*self._deployer.parts_of(hindering=True), *self._judging.parts)

    @property
    def _consumers(self) -> tuple[Consumer, ...]:
        """What follows the log."""
        return (*self._deployer.consumers, self._judging.consumer)

    async def start(self) -> None:
        """Check the topics and deploy."""
        await self._following.start(self._tasks)
        if self.settings.kafka is None:
            self._deployer.start(self._tasks)
            self._judging.start(self._tasks)
            return
        self._deployer.start(self._tasks, following=False)
        self._judging.start(self._tasks, following=False, reading=False)
        self._tasks.start("the events", self._follow_topic())

    async def stop(self) -> None:
        """End after what is under way."""
        self._leaving.set()
        if self._app is not None:
            await self._app.close()
        await self._deployer.close()
        await self._judging.close()
        await self._following.close()
        await self._deployer.release()
        await self._judging.release()

    def log_id(self) -> str:
        """The log that it follows."""
        return self._deployer.consumers[0].status().log_id

    def head(self) -> LogHead:
        """How far it has come."""
        return LogHead(self._deployer.consumers[0].status().position)

    async def _follow_topic(self) -> None:
        """Catch up to the topic's end, then let Faust go on.

        Raises:
            Exception: what the application cannot go on with.
        """
        try:
            from regista.deployer.app import EventsApp  # noqa: PLC0415 - an extra of its own
        except ModuleNotFoundError as error:
            raise Unavailable(
                "The packages for the deployer on Kafka are not installed.",
                code="extra_missing",
                hint="pip install 'regista[server,kafka,deployer]'",
            ) from error
        for consumer in self._consumers:
            await consumer.catch_up()
        if self._leaving.is_set():
            return
        await self._place_group()
        self._app = EventsApp(
            self.settings, self.settings.data, self._take, self._deployer.runner.wake, self._judging.count
        )
        await self._app.run()

    async def _place_group(self) -> None:
        from regista.bus.events.group import begin_behind  # noqa: PLC0415 - an extra of its own
        from regista.bus.topics.rights import deployer_id  # noqa: PLC0415 - as above

        known = min(consumer.taking.mark.position for consumer in self._consumers)
        try:
            await begin_behind(self.settings, "deployer", deployer_id(self.settings), known)
        except Unavailable as error:
            logger.warning("the group is not placed, it reads what is known already: %s", error.detail)

    async def _take(self, log_id: str, rows: Sequence[Row]) -> None:
        """What Faust brings, to each that follows.

        Raises:
            Overtaken, Damaged: the process cannot go on.
            Unavailable: the work database is away for too long.
        """
        if log_id != self.log_id():
            raise Damaged(
                f"the topic is of the log {log_id} by now, not of {self.log_id()}",
                code="log_replaced",
                hint="The next start follows it anew.",
            )
        until = asyncio.get_running_loop().time() + _PATIENCE
        takings = [consumer.taking for consumer in self._consumers]
        tried = False
        while True:
            try:
                if tried:
                    for taking in takings:
                        await taking.renew(rows)
                tried = True
                await take_together(self._work, takings, rows)
            except Unavailable:  # whether the commit came through is known only to the database
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_AGAIN)
            else:
                return
