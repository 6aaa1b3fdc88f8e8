"""The log as a process beside the registry follows it: from Kafka where there is one, else from the log's store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from regista.storage import wakeups
from regista.store.feed import StoreFeed
from regista.tasks import CANCELLING, Tasks

if TYPE_CHECKING:
    from regista.bus.events.feed import KafkaFeed
    from regista.projections.feed import Feed
    from regista.settings import Settings
    from regista.store.log import LogReader


class Following:
    """``feed`` is what the process reads from. The log is opened only where there is no Kafka, and is its opener's."""

    def __init__(self, settings: Settings, open_log: Callable[[], LogReader]) -> None:
        self._settings = settings
        self._topic: KafkaFeed | None = None
        self._store: StoreFeed | None = None
        self.feed = self._open(open_log)

    def _open(self, open_log: Callable[[], LogReader]) -> Feed:
        if self._settings.kafka is None:
            self._store = StoreFeed(open_log())
            return self._store
        from regista.bus.events.feed import KafkaFeed  # noqa: PLC0415 - an extra of its own

        self._topic = KafkaFeed(self._settings)
        return self._topic

    async def start(self, tasks: Tasks) -> None:
        """Check the topics, or be woken by the database.

        Raises:
            Refused: the topics are not what they must be.
        """
        if self._store is not None:
            for wakeup in wakeups(self._settings, self._store.notify):
                tasks.start("the wake-up by the database", wakeup, ends_by=CANCELLING)
            return
        from regista.processes.kafka_parts import check_topics_at_start  # noqa: PLC0415 - an extra of its own

        await check_topics_at_start(self._settings)

    async def close(self) -> None:
        """Let go of Kafka, once nobody reads any more."""
        if self._topic is not None:
            await self._topic.close()
