"""``regista deploy``: deployments and experiments by a process of its own, from Kafka where there is one, else from the log's store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from regista.deployer.deployer import ACTORS
from regista.deployer.effects import NAME
from regista.deployer.targets import Registry
from regista.domain.chain import Head as LogHead
from regista.http.parts import Part
from regista.processes.beginning import Beginning, told_by
from regista.processes.bringing import Bringing
from regista.processes.deploying import clients_outside, make_deployer
from regista.processes.following import Following
from regista.processes.measuring import Judging
from regista.processes.workers import Worker
from regista.settings import Settings
from regista.storage import open_private
from regista.work.consumer import Consumer
from regista.work.database import Work


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
        self._client = clients(ACTORS[NAME])
        self._beginning = Beginning(partial(told_by, self._client), feed)
        end = None if settings.kafka is None else self._beginning.end
        self._judging = Judging(settings, work, feed, clients, self.metrics.registry, hindering=True, end=end)
        self._deployer = make_deployer(
            settings,
            work,
            feed,
            clients,
            registry=lambda: Registry(settings.url, settings.bearer),
            secrets=private,
            metrics=self.metrics.registry,
            end=end,
        )
        self._bringing = Bringing(
            settings,
            work,
            feed,
            self._consumers,
            tick=self._deployer.runner.wake,
            count=self._judging.count,
            begins=self._beginning.note,
        )
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
        await self._beginning.note()
        self._deployer.start(self._tasks, following=False)
        self._judging.start(self._tasks, following=False, reading=False)
        self._tasks.start("the events", self._bringing.run())

    async def stop(self) -> None:
        """End after what is under way."""
        await self._deployer.rest()
        await self._bringing.close()
        await self._deployer.close()
        await self._judging.close()
        await self._following.close()
        await self._deployer.release()
        await self._judging.release()
        await self._client.aclose()

    def log_id(self) -> str:
        """The log that it follows."""
        return self._deployer.consumers[0].status().log_id

    def head(self) -> LogHead:
        """How far it has come."""
        return LogHead(self._deployer.consumers[0].status().position)
