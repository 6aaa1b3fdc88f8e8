"""What a registry that runs in one process does because of its own events: it deploys, lets endpoints follow, judges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from regista.deployer.targets import Registry
from regista.http.parts import Part
from regista.processes.deploying import clients_inside, make_deployer
from regista.processes.measuring import Judging
from regista.processes.notifying import make_notifier, registry_inside
from regista.projections.feed import Feed
from regista.tasks import Tasks
from regista.work.database import Work

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp, Receive, Scope, Send

    from regista.settings import Settings
    from regista.store.log import LogReader
    from regista.store.private import PrivateTable

logger = logging.getLogger("regista.work")


class Reacting:
    """Made, it holds the work database; started, it works until ``close``. ``url`` is where the registry listens."""

    def __init__(
        self,
        settings: Settings,
        feed: Feed,
        private: PrivateTable,
        registry: Callable[[], ASGIApp],
        *,
        log: LogReader,
        metrics: CollectorRegistry,
    ) -> None:
        """Commands enter the registry by the same door as everybody's, without a socket.

        Raises:
            Unavailable, Damaged: as ``Work.open``.
        """
        self._log = log
        self.url = f"http://127.0.0.1:{settings.port}"

        async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
            await registry()(scope, receive, send)

        clients = clients_inside(settings, asgi)
        self._work = Work.open(settings)
        try:
            self.judging = Judging(settings, self._work, feed, clients, metrics)
            self._deployer = make_deployer(
                settings,
                self._work,
                feed,
                clients,
                registry=lambda: Registry(self.url, settings.bearer),
                secrets=private,
                metrics=metrics,
            )
            self.notifier = make_notifier(
                settings,
                self._work,
                feed,
                log=log,
                private=private,
                registry=registry_inside(settings, asgi),
                metrics=metrics,
            )
        except BaseException:
            self._work.close()
            raise

    @property
    def work(self) -> Work:
        """The work database."""
        return self._work

    @property
    def parts(self) -> tuple[Part, ...]:
        """For the status."""
        return (*self._deployer.parts, self.notifier, *self.judging.parts)

    def start(self, tasks: Tasks) -> None:
        """Run everything."""
        self._deployer.start(tasks)
        tasks.start("the notifier", self.notifier.run())
        self.judging.start(tasks)

    async def begun(self, within: float) -> None:
        """Return when it is known from where on events have effects, after so many seconds at the latest.

        What is written to a new registry before that would have none.
        """
        consumers, log_id = (*self._deployer.consumers, self.notifier.consumer), self._log.log_id
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*(consumer.begun(log_id) for consumer in consumers))
        except TimeoutError:
            logger.warning("the work database is not ready after %g s: what is written now may have no effects", within)

    async def close(self) -> None:
        """End everything; what is under way is finished, while the registry still answers."""
        await self.notifier.close()
        await self.judging.close()
        await self._deployer.close()

    async def release(self) -> None:
        """Let go of targets and connections, once all has ended."""
        await self._deployer.release()
        await self.judging.release()

    def abandon(self) -> None:
        """Close the work database."""
        self._work.close()
