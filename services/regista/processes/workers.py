"""The processes beside the API of a registry that is spread out: relay, project, deploy and notify.

Each works on its own, answers ``/healthz``, ``/readyz``, ``/v1/status`` and ``/metrics``, and stands by where another one
of its kind is at work. One that cannot go on at all ends, for whoever watches it to start it anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import ClassVar, Self

from fastapi import APIRouter

from regista.domain.chain import Head as LogHead
from regista.domain.errors import Invalid, NotFound, Reason, RegistaError, Unavailable
from regista.http.application import Api, Shell, create_app
from regista.http.condition import view_statuses
from regista.http.metrics import Metrics
from regista.http.parts import Part
from regista.http.status import Readiness, status_routes
from regista.processes.following import Following
from regista.processes.process import running, serve_until_signal
from regista.projections.runner import Projector
from regista.settings import Settings
from regista.storage import open_log_reader, open_views, wakeups
from regista.store.log import LogReader, newest_known
from regista.tasks import CANCELLING, Tasks
from regista.wire.resources import Head, Status, ViewStatus

_LOOK_EVERY = 1.0
_STUCK_AFTER = 2.0
logger = logging.getLogger("regista.workers")


class Worker(ABC):
    """A process that serves nothing but how it is. Entered it works; left, what it had in hand is done.

    ``reads_log``: it reads the log's store, also where there is Kafka.
    """

    reads_log: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._tasks = Tasks()
        self._opened = ExitStack()
        self._started_at = datetime.now(UTC)
        self._release = version("regista")
        self.asgi = self.answering()

    def answering(self, *routes: APIRouter) -> Api:
        """Its HTTP: how it is, and what else it answers."""
        shell = Shell(self.settings, self.metrics, self._release)
        return create_app(shell, [*routes, status_routes(self, Readiness(self), self.metrics)])

    def open_log(self) -> LogReader:
        """The log, to be read until the process ends."""
        log = open_log_reader(self.settings)
        self._opened.callback(log.close)
        return log

    @property
    def parts(self) -> Sequence[Part]:
        """What it runs."""
        return ()

    @property
    def failed(self) -> asyncio.Event:
        """Set when a part ended that was not told to: the process ends too, for whoever watches it to start it anew."""
        return self._tasks.failed

    @abstractmethod
    async def start(self) -> None:
        """Run the parts."""

    @abstractmethod
    async def stop(self) -> None:
        """Tell the parts to end."""

    @abstractmethod
    def log_id(self) -> str:
        """The log that it works for; empty as long as it does not know."""

    @abstractmethod
    def head(self) -> LogHead:
        """How far it has come."""

    def end(self) -> int:
        """The newest position that it knows of."""
        return self.head().position

    def views(self) -> Sequence[ViewStatus]:
        """How the views stand, where it makes them."""
        return ()

    def status(self, writes: str) -> Status:
        """All of it."""
        head = self.head()
        return Status(
            version=self._release,
            log_id=self.log_id(),
            log_position=self.end(),
            head=Head(position=head.position, count=head.count, digest=head.digest.hex()),
            views=list(self.views()),
            writes=writes,
            started_at=self._started_at,
            components={part.name: dict(part.state().shown) for part in self.parts},
        )

    def hindrances(self) -> Sequence[Reason]:
        """What hinders it."""
        found = (part.state().hindrance for part in self.parts)
        return [hindrance for hindrance in found if hindrance is not None]

    async def check_writes(self) -> None:
        """It takes none: nothing to try."""
        return

    async def check_reads(self, within: float) -> None:  # noqa: ARG002 - the port's signature
        """It answers none: nothing to try."""
        return

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._opened.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:
            self._tasks.leave()
            await self.stop()
            await self._tasks.ended()


class RelayWorker(Worker):
    """Publishes the log and the results of commands."""

    reads_log = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        from regista.processes.kafka_parts import Acknowledging, Publishing  # noqa: PLC0415 - an extra of its own

        self._log = self.open_log()
        self._acknowledging = Acknowledging(settings, self._log)
        self._publishing = Publishing(settings, self._log, self.metrics, self._acknowledging)
        self.metrics.observe(self.end, self.views)

    @property
    def parts(self) -> Sequence[Part]:
        """The relays."""
        return self._publishing.parts

    async def start(self) -> None:
        """Check the topics and relay."""
        from regista.processes.kafka_parts import check_topics_at_start  # noqa: PLC0415 - an extra of its own

        await check_topics_at_start(self.settings)
        self._acknowledging.start(self._tasks)
        self._publishing.start(self._tasks)
        for wakeup in wakeups(self.settings, self._publishing.notify):
            self._tasks.start("the wake-up by the database", wakeup, ends_by=CANCELLING)

    async def stop(self) -> None:
        """End the relays after the transaction in hand."""
        await self._publishing.close()
        await self._acknowledging.close()

    def log_id(self) -> str:
        """The log's identity."""
        return self._log.log_id

    def head(self) -> LogHead:
        """What of the log is on Kafka."""
        events = self._publishing.parts[0]
        return LogHead(events.relay.state().position)

    def end(self) -> int:
        """The newest position of the log; 0 while it cannot be read."""
        return newest_known(self._log)


class ProjectWorker(Worker):
    """Folds the log into the views: from Kafka where there is one, else from the store."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._following = Following(settings, self.open_log)
        self._views = open_views(settings)
        self._opened.callback(self._views.close)
        self._projector = Projector(self._following.feed, self._views)
        self._log_id = ""
        self.metrics.observe(self.end, self.views)

    async def start(self) -> None:
        """Check the topics and project."""
        await self._following.start(self._tasks)
        self._tasks.start("the projector", self._projector.run())
        self._tasks.start("the look for the log", self._learn(), ends_by=CANCELLING)

    async def stop(self) -> None:
        """End the projector after the batch in hand."""
        await self._projector.close()
        await self._following.close()

    def log_id(self) -> str:
        """The log that the views are of."""
        return self._log_id

    async def _learn(self) -> None:
        """Find out which log it is, and stay."""
        while not self._log_id:
            try:
                self._log_id = await self._following.feed.log_id()
            except RegistaError:
                await asyncio.sleep(_LOOK_EVERY)
        await asyncio.Event().wait()

    def head(self) -> LogHead:
        """How far the views are."""
        return self._projector.status().head

    def views(self) -> Sequence[ViewStatus]:
        """How the views stand."""
        return view_statuses(self._projector.status(), self.end())


def relay(settings: Settings) -> int:
    """``regista relay``: publish until a signal; the exit code."""
    return running(settings, lambda: _work(settings, RelayWorker, "relays"))


def project(settings: Settings) -> int:
    """``regista project``: project until a signal; the exit code."""
    return running(settings, lambda: _work(settings, ProjectWorker, "projects"))


def deploy(settings: Settings) -> int:
    """``regista deploy``: deploy until a signal; the exit code, 1 where it cannot go on."""
    from regista.processes.deploy_worker import DeployWorker  # noqa: PLC0415 - it is one of these

    code = running(settings, lambda: _work(settings, DeployWorker, "deploys"))
    _leave_stuck_threads(code)
    return code


def notify(settings: Settings) -> int:
    """``regista notify``: send webhooks until a signal; the exit code."""
    from regista.processes.notify_worker import NotifyWorker  # noqa: PLC0415 - it is one of these

    return running(settings, lambda: _work(settings, NotifyWorker, "notifies"))


def _leave_stuck_threads(code: int) -> None:
    """End the process where a thread of Faust still waits for brokers that are away: nothing is left to be finished."""
    for thread in threading.enumerate():
        if thread is threading.current_thread() or thread.daemon:
            continue
        thread.join(_STUCK_AFTER)
        if thread.is_alive():
            logging.shutdown()
            sys.stdout.flush()
            os._exit(code)


async def _work(settings: Settings, kind: type[Worker], does: str) -> None:
    if kind is RelayWorker and settings.kafka is None:
        raise Invalid(
            "A relay needs Kafka.", code="no_kafka", hint="Name its brokers: --kafka HOST:PORT, or REGISTA_KAFKA."
        )

    if kind.reads_log or settings.kafka is None:
        await _log_is_there(settings)

    def build() -> Worker:
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
            return kind(settings)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"{settings.data} cannot be used: {error}", code="data_unusable") from error

    def greet(_worker: Worker, url: str) -> None:
        sys.stdout.write(f"Regista {does}; how it stands: {url}/v1/status   (Ctrl+C stops it)\n")

    await serve_until_signal(settings, build, greet, failed=lambda worker: worker.failed)


async def _log_is_there(settings: Settings) -> None:
    """Return when somebody has made the log.

    Raises:
        Unavailable, Damaged: as ``open_log_reader``.
    """
    waiting = False
    while True:
        try:
            await asyncio.to_thread(lambda: open_log_reader(settings).close())
        except NotFound as error:
            if not waiting:
                logger.warning("%s Waiting for the process that makes it.", error.detail)
            waiting = True
            await asyncio.sleep(_LOOK_EVERY)
        else:
            return
