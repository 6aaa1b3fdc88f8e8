"""The composition root: every part of a registry, made from the settings and wired by hand.

``run`` is the process of ``regista up``, ``serve`` that of ``regista serve``. ``Application`` is the registry without a
socket: opened it holds its log, entered it works, left it has finished every write it took. The processes beside it are
wired in ``processes``.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Self

from regista.artifacts.directory import DirectoryBlobStore
from regista.artifacts.routes import artifact_routes
from regista.artifacts.uploads import ArtifactStore
from regista.copies import compare_with_kafka
from regista.domain.errors import Invalid, NotFound, Refused, Unavailable
from regista.http.admin import admin_routes, import_upload
from regista.http.administrator import RegistryAdministrator
from regista.http.application import Api, Shell, create_app
from regista.http.condition import RegistryCondition
from regista.http.event_source import ViewedEvents
from regista.http.limits import Upload
from regista.http.metrics import Metrics
from regista.http.parts import Part
from regista.http.sse import EventStreams, stream_routes
from regista.http.status import Readiness, status_routes
from regista.notifier.effects import COMPONENT
from regista.notifier.routes import delivery_routes
from regista.processes.measuring import Reporting
from regista.processes.orphans import OrphanCollector
from regista.processes.process import running, serve_until_signal
from regista.processes.reacting import Reacting
from regista.processes.secret_upkeep import SecretUpkeep
from regista.projections.api.queries import Queries
from regista.projections.api.routes import query_routes
from regista.projections.desk import ViewsSource
from regista.projections.follower import ViewsFollower
from regista.projections.projection import Projection
from regista.projections.runner import Projector
from regista.registrar.acknowledge import Acknowledged, Executor
from regista.registrar.artifacts import Artifacts, Described
from regista.registrar.routes import command_routes
from regista.registrar.secrets import Keeping, Secrets
from regista.registrar.service import Registrar
from regista.registrar.snapshots import Snapshots
from regista.settings import Settings
from regista.storage import open_log, open_private, open_views, open_views_of_another, wakeups
from regista.store.feed import StoreFeed
from regista.store.group_commit import GroupCommit
from regista.tasks import CANCELLING, Tasks
from regista.work.database import Work

if TYPE_CHECKING:
    from regista.processes.kafka_parts import KafkaSide
    from regista.store.private import PrivateTable

SNAPSHOTS_FILE = "snapshots.db"
VIEWS_WITHIN = 1.0
"""Seconds that the start waits for the views of a long log, or of another process."""
FEW = 5_000
FEW_WITHIN = 10.0
"""Seconds that it waits for its own views of so few events: that takes so long only where the disk is busy."""
EFFECTS_WITHIN = 10.0
"""Seconds that it waits for those who follow events with effects, as long as nobody ever did."""


class _StoredArtifacts:
    """What the registrar asks of the artifact store."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def describe(self, digest: str) -> Described:
        found = await self._store.describe(digest)
        return Described(found.manifest, found.format, found.signature, found.weights_digest)

    async def missing(self, digests: Iterable[str]) -> frozenset[str]:
        return frozenset([digest for digest in digests if not await self._is_whole(digest)])

    async def _is_whole(self, digest: str) -> bool:
        try:
            await self._store.renew(digest)
        except (NotFound, Refused):
            return False
        except Invalid:  # no manifest: a blob of its own, such as a script
            return not await self._store.missing([digest])
        return True


class Application:
    """One registry: made, it holds its log; entered, it works; left, everything taken is done and closed.

    ``alone``: it projects and, with Kafka, relays by itself; else other processes do.

    Raises:
        Unavailable: the log is in use, or cannot be reached or written.
        Damaged: what lies there is no log, or one of a newer release.
    """

    def __init__(self, settings: Settings, *, alone: bool = True) -> None:
        self.settings = settings
        self._alone = alone
        self.metrics = Metrics()
        self._tasks = Tasks()
        self._leaving = asyncio.Event()
        with ExitStack() as opened:
            settings.data.mkdir(parents=True, exist_ok=True)
            self._store = open_log(settings)
            opened.callback(self._store.close)
            self._feed = StoreFeed(self._store)
            private = open_private(settings)
            opened.callback(private.close)
            self._secrets = Secrets(private)
            self._reacting = self._reactions(private) if alone else None
            if self._reacting is not None:
                opened.callback(self._reacting.abandon)
            self._work = self._open_work(opened) if self._reacting is None else self._reacting.work
            counting = None if self._reacting is None else self._reacting.judging.experiments
            self._reporting = Reporting(settings, self._work, counting)
            self._upkeep = SecretUpkeep(self._store, private, older_than=timedelta(seconds=settings.orphan_age))
            views, self._projection = self._projected(opened, alone=alone)
            self._blobs = ArtifactStore(DirectoryBlobStore(settings.data))
            opened.callback(self._blobs.close)
            self._queries = Queries(views, self._projection, self._store.max_position)
            opened.callback(self._queries.close)
            self._writer = GroupCommit(self._store, max_batch=settings.max_batch, observe=self.metrics.commit)
            snapshots = Snapshots(settings.data / SNAPSHOTS_FILE)
            opened.callback(snapshots.close)
            self._registrar = Registrar(
                self._store,
                self._writer,
                Artifacts(_StoredArtifacts(self._blobs)),
                snapshots,
                committed=lambda _position: self._grown(),
                erase=self._secrets.erase,
            )
            self._kafka = self._kafka_side(publishes=alone)
            self.orphans = OrphanCollector(self._store, self._blobs, older_than=timedelta(seconds=settings.orphan_age))
            source = ViewedEvents(self._projection, views, self._store)
            opened.callback(source.close)
            self.streams = EventStreams(
                source,
                max_readers=settings.max_streams,
                heartbeat=settings.stream_heartbeat,
                patience=settings.stream_patience,
            )
            self.asgi = self._api()
            self._opened = opened.pop_all()

    def _reactions(self, private: PrivateTable) -> Reacting:
        return Reacting(
            self.settings, self._feed, private, lambda: self.asgi, log=self._store, metrics=self.metrics.registry
        )

    def _open_work(self, opened: ExitStack) -> Work:
        """The work database of the processes beside this one, for what is asked of deliveries here."""
        work = Work.open(self.settings)
        opened.callback(work.close)
        work.migrate(COMPONENT)
        return work

    def _projected(self, opened: ExitStack, *, alone: bool) -> tuple[ViewsSource, Projection]:
        """The views, and who makes them: this process, or another one that it follows."""
        if alone:
            own = open_views(self.settings)
            opened.callback(own.close)
            return own, Projector(self._feed, own)
        views = open_views_of_another(self.settings)
        opened.callback(views.close)
        return views, ViewsFollower(views)

    def _kafka_side(self, *, publishes: bool) -> KafkaSide | None:
        if self.settings.kafka is None:
            return None
        from regista.processes.kafka_parts import KafkaSide  # noqa: PLC0415 - an extra of its own

        return KafkaSide(self.settings, self._store, self._registrar, self.metrics, publishes=publishes)

    def _api(self) -> Api:
        settings, release = self.settings, version("regista")
        parts: tuple[Part, ...] = () if self._kafka is None else self._kafka.parts
        if self._reacting is not None:
            parts = (*parts, *self._reacting.parts)
        condition = RegistryCondition(
            release, self._store, self._projection, check_writable=self._store.check_writable, parts=parts
        )
        compare = None if self._kafka is None else lambda report: compare_with_kafka(self._store, settings, report)
        administrator = RegistryAdministrator(self._store, self._projection, replaced=self._grown, compare=compare)
        self.metrics.observe(condition.log_position, condition.views)
        self.metrics.count_readers(lambda: self.streams.readers)
        uploads = (Upload("POST", "/v1/artifacts", settings.max_upload), import_upload(settings.max_upload))
        return create_app(
            Shell(settings, self.metrics, release, uploads),
            [
                command_routes(self._executor(), self.metrics.write),
                stream_routes(self.streams),
                query_routes(self._queries),
                artifact_routes(self._blobs, max_bytes=settings.max_upload),
                status_routes(condition, Readiness(condition), self.metrics),
                admin_routes(administrator, settings.data),
                delivery_routes(self._work, end=self._store.max_position, wake=self._wake_notifier),
                self._reporting.routes(self._store.max_position),
            ],
        )

    def _wake_notifier(self) -> None:
        if self._reacting is not None:
            self._reacting.notifier.wake()

    def _executor(self) -> Executor:
        kafka, keeping = self._kafka, Keeping(self._registrar, self._secrets)
        if kafka is None or (copy := kafka.acknowledging.copy) is None:
            return keeping
        within = self.settings.acknowledge_timeout
        return Acknowledged(keeping, copy, within=within, of_the_relay=kafka.of_the_relay)

    def _grown(self) -> None:
        """Something was appended: whatever follows the log is told."""
        self._feed.notify()
        if self._kafka is not None:
            self._kafka.notify()

    async def __aenter__(self) -> Self:
        if self._kafka is not None:
            await self._kafka.start(self._tasks)
        self._tasks.start("the projection", self._projection.run())
        if self._reacting is not None:
            self._reacting.start(self._tasks)
        self._tasks.start("the collection of orphaned uploads", self.orphans.run(self._leaving))
        self._tasks.start("the upkeep of secrets", self._upkeep.run(self._leaving))
        for wakeup in wakeups(self.settings, self._grown):
            self._tasks.start("the wake-up by the database", wakeup, ends_by=CANCELLING)
        await self._views_there()
        if self._reacting is not None:
            await self._reacting.begun(EFFECTS_WITHIN)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:
            self._tasks.leave()
            self.streams.close()
            self._leaving.set()
            await self._reporting.close()
            if self._reacting is not None:
                await self._reacting.close()
            if self._kafka is not None:
                await self._kafka.close()
            await self._writer.close()
            await self._registrar.save_snapshots()
            await self._projection.close()
            await self._tasks.ended()
            if self._reacting is not None:
                await self._reacting.release()

    async def _views_there(self) -> None:
        """A registry of moderate size answers from its first request on; a large rebuild is not waited for."""
        end, clock = self._store.max_position(), asyncio.get_running_loop().time
        until = clock() + (FEW_WITHIN if self._alone and end <= FEW else 0.0)
        while not await self._projection.wait_for(end, VIEWS_WITHIN):
            if clock() >= until or self._projection.status().error is not None:
                return

    def listens(self, url: str) -> None:
        """It is reached there: targets fetch artifacts from it."""
        if self._reacting is not None:
            self._reacting.url = url

    def close(self) -> None:
        """Give the log back without having worked."""
        self._opened.close()


def build(settings: Settings, *, alone: bool = True) -> Application:
    """A registry, wired and opened.

    Raises:
        Unavailable, Damaged: as :class:`Application`, and ``data_unusable`` for whatever else the directory lacks.
    """
    try:
        return Application(settings, alone=alone)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"{settings.data} cannot be used: {error}", code="data_unusable") from error


def run(settings: Settings) -> int:
    """``regista up``: serve until a signal; the exit code: 0 when everything was finished, 1 when it could not start."""
    return running(settings, lambda: _serve(settings, alone=True))


def serve(settings: Settings) -> int:
    """``regista serve``: as ``run``, while other processes project and relay."""
    return running(settings, lambda: _serve(settings, alone=False))


async def _serve(settings: Settings, *, alone: bool) -> None:
    def greet(served: Application, url: str) -> None:
        served.listens(url)
        sys.stdout.write(greeting(url, settings))

    await serve_until_signal(
        settings,
        lambda: build(settings, alone=alone),
        greet,
        before_shutdown=lambda application: application.streams.close(),
    )


def greeting(url: str, settings: Settings) -> str:
    """What ``regista up`` says: where it is, and what to do next."""
    other = f"  export REGISTA_URL={url}\n" if url != "http://127.0.0.1:8080" else ""
    if settings.token is not None:
        other += "  export REGISTA_TOKEN=…   # the token, which every request needs\n"
    return f"""\
Regista is up at {url}   (data in {settings.data}; Ctrl+C stops it)

Next, in another terminal:
{other}  regista register my-model model.pkl --git . --author me --trained-at now \\
      --dataset train=train.csv --metric accuracy=0.93
  regista promote my-model 1.0.0 --to staging --reason "first try"
  regista log --follow

API reference: {url}/docs
"""
