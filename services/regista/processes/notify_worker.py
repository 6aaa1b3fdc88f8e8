"""``regista notify``: webhooks by a process of its own, from Kafka where there is one, else from the log's store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from regista.domain.chain import Head as LogHead
from regista.domain.errors import RegistaError
from regista.http.parts import Part
from regista.notifier.routes import delivery_routes
from regista.processes.notifying import make_notifier, registry_outside
from regista.processes.tasks import CANCELLING
from regista.processes.workers import Worker
from regista.projections.feed import Feed
from regista.settings import Settings
from regista.storage import open_log_reader, open_private, wakeups
from regista.store.feed import StoreFeed
from regista.work.database import Work


class NotifyWorker(Worker):
    """Sends webhooks, and answers for its deliveries as the registry does."""

    reads_log = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._close_feed: Callable[[], Awaitable[None]] = _nothing_to_close
        self._log = open_log_reader(settings)
        self._opened.callback(self._log.close)
        self._store_feed = StoreFeed(self._log)
        private = open_private(settings)
        self._opened.callback(private.close)
        work = Work.open(settings)
        self._opened.callback(work.close)
        self._notifier = make_notifier(
            settings,
            work,
            self._open_feed(),
            log=self._log,
            private=private,
            registry=registry_outside(settings),
            metrics=self.metrics.registry,
            hindering=True,
        )
        self.asgi = self.answering(delivery_routes(work, end=self._log.max_position, wake=self._notifier.wake))
        self.metrics.observe(self.end, self.views)

    def _open_feed(self) -> Feed:
        if self.settings.kafka is None:
            return self._store_feed
        from regista.bus.events.feed import KafkaFeed  # noqa: PLC0415 - an extra of its own

        topic = KafkaFeed(self.settings)
        self._close_feed = topic.close
        return topic

    @property
    def parts(self) -> Sequence[Part]:
        """The notifier."""
        return (self._notifier,)

    async def start(self) -> None:
        """Check the topics and notify."""
        if self.settings.kafka is not None:
            from regista.processes.kafka_parts import check_topics_at_start  # noqa: PLC0415 - an extra of its own

            await check_topics_at_start(self.settings)
        else:
            for wakeup in wakeups(self.settings, self._store_feed.notify):
                self._tasks.start("the wake-up by the database", wakeup, ends_by=CANCELLING)
        self._tasks.start("the notifier", self._notifier.run())

    async def stop(self) -> None:
        """End after what is under way."""
        await self._notifier.close()
        await self._close_feed()

    def log_id(self) -> str:
        """The log's identity."""
        return self._log.log_id

    def head(self) -> LogHead:
        """How far it has come."""
        return LogHead(int(self._notifier.state().shown.get("position") or 0))

    def end(self) -> int:
        """The newest position of the log; 0 while it cannot be read."""
        try:
            return self._log.max_position()
        except RegistaError:
            return 0


async def _nothing_to_close() -> None:
    """The log is closed by itself."""
