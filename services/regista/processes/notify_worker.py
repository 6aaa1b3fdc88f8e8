"""``regista notify``: webhooks by a process of its own, from Kafka where there is one, else from the log's store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from regista.domain.chain import Head as LogHead
from regista.http.parts import Part
from regista.notifier.routes import delivery_routes
from regista.processes.beginning import Beginning, read_from
from regista.processes.following import Following
from regista.processes.notifying import make_notifier, registry_outside
from regista.processes.workers import Worker
from regista.settings import Settings
from regista.storage import open_private
from regista.store.log import newest_known
from regista.work.database import Work


class NotifyWorker(Worker):
    """Sends webhooks, and answers for its deliveries as the registry does."""

    reads_log = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._log = self.open_log()
        self._following = Following(settings, lambda: self._log)
        private = open_private(settings)
        self._opened.callback(private.close)
        work = Work.open(settings)
        self._opened.callback(work.close)
        self._beginning = Beginning(partial(read_from, self._log), self._following.feed)
        self._notifier = make_notifier(
            settings,
            work,
            self._following.feed,
            log=self._log,
            private=private,
            registry=registry_outside(settings),
            metrics=self.metrics.registry,
            begins=None if settings.kafka is None else self._beginning.end,
            hindering=True,
        )
        self.asgi = self.answering(delivery_routes(work, end=self._log.max_position, wake=self._notifier.wake))
        self.metrics.observe(self.end, self.views)

    @property
    def parts(self) -> Sequence[Part]:
        """The notifier."""
        return (self._notifier,)

    async def start(self) -> None:
        """Check the topics and notify."""
        await self._following.start(self._tasks)
        await self._beginning.note()
        self._tasks.start("the notifier", self._notifier.run())

    async def stop(self) -> None:
        """End after what is under way."""
        await self._notifier.close()
        await self._following.close()

    def log_id(self) -> str:
        """The log's identity."""
        return self._log.log_id

    def head(self) -> LogHead:
        """How far it has come."""
        return LogHead(int(self._notifier.state().shown.get("position") or 0))

    def end(self) -> int:
        """The newest position of the log; 0 while it cannot be read."""
        return newest_known(self._log)
