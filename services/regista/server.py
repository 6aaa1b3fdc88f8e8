"""The composition root: every part of a registry, made from the settings and wired by hand.

``run`` is the process of ``regista up``. ``Application`` is the registry without a socket: opened it holds the data
directory, entered it works, left it has finished every write it took.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from importlib.metadata import version
from time import perf_counter
from types import TracebackType
from typing import Self

from regista.artifacts.directory import DirectoryBlobStore
from regista.artifacts.routes import artifact_routes
from regista.artifacts.uploads import ArtifactStore
from regista.domain.errors import Invalid, NotFound, Refused, RegistaError, Unavailable
from regista.http.admin import admin_routes, import_upload
from regista.http.administrator import RegistryAdministrator
from regista.http.application import Api, Shell, create_app
from regista.http.condition import RegistryCondition
from regista.http.event_source import ViewedEvents
from regista.http.limits import Upload
from regista.http.metrics import Metrics
from regista.http.serving import Server, listen, url_of
from regista.http.sse import EventStreams, stream_routes
from regista.http.status import Readiness, status_routes
from regista.offline import VIEWS_FILE, offline_digests, offline_export, offline_import, offline_rebuild, offline_verify
from regista.orphans import OrphanCollector
from regista.projections.api.queries import Queries
from regista.projections.api.routes import query_routes
from regista.projections.database import ViewsDatabase
from regista.projections.runner import Projector
from regista.registrar.artifacts import Artifacts, Described
from regista.registrar.routes import command_routes
from regista.registrar.service import Registrar
from regista.registrar.snapshots import Snapshots
from regista.settings import Settings
from regista.store.append import Append
from regista.store.feed import StoreFeed
from regista.store.group_commit import GroupCommit
from regista.store.sqlite.probe import check_writable
from regista.store.sqlite.store import SQLiteLogStore

SNAPSHOTS_FILE = "snapshots.db"
VIEWS_WITHIN = 1.0
"""Seconds that the start waits for the views."""
logger = logging.getLogger("regista.server")

__all__ = [
    "Application",
    "build",
    "greeting",
    "offline_digests",
    "offline_export",
    "offline_import",
    "offline_rebuild",
    "offline_verify",
    "run",
]


class _MeasuredStore(SQLiteLogStore):
    """The log store, with every commit counted and timed."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        super().__init__(settings.data)

    def append(self, appends: Sequence[Append]) -> list[int]:
        started = perf_counter()
        positions = super().append(appends)
        self._metrics.commit(len(appends), perf_counter() - started)
        return positions


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
    """One registry: made, it holds its data directory; entered, it works; left, everything taken is done and closed.

    Raises:
        Unavailable: the data directory is in use, or cannot be written.
        Damaged: what lies there is no log, or one of a newer release.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = asyncio.Event()
        with ExitStack() as opened:
            self._store = _MeasuredStore(settings, self.metrics)
            opened.callback(self._store.close)
            self._views = ViewsDatabase(settings.data / VIEWS_FILE)
            opened.callback(self._views.close)
            self._blobs = ArtifactStore(DirectoryBlobStore(settings.data))
            opened.callback(self._blobs.close)
            self._feed = StoreFeed(self._store)
            self._projector = Projector(self._feed, self._views)
            self._queries = Queries(self._views, self._projector, self._store.max_position)
            opened.callback(self._queries.close)
            self._writer = GroupCommit(self._store, max_batch=settings.max_batch)
            snapshots = Snapshots(settings.data / SNAPSHOTS_FILE)
            opened.callback(snapshots.close)
            self._registrar = Registrar(
                self._store,
                self._writer,
                Artifacts(_StoredArtifacts(self._blobs)),
                snapshots,
                committed=lambda _position: self._feed.notify(),
            )
            age = timedelta(seconds=settings.orphan_age)
            self.orphans = OrphanCollector(self._store, self._blobs, older_than=age)
            source = ViewedEvents(self._projector, self._views, self._store)
            opened.callback(source.close)
            self.streams = EventStreams(
                source,
                max_readers=settings.max_streams,
                heartbeat=settings.stream_heartbeat,
                patience=settings.stream_patience,
            )
            self.asgi = self._api()
            self._opened = opened.pop_all()

    def _api(self) -> Api:
        settings, release = self.settings, version("regista")
        condition = RegistryCondition(
            release, self._store, self._projector, check_writable=lambda: check_writable(self._store.path)
        )
        administrator = RegistryAdministrator(self._store, self._projector, replaced=self._feed.notify)
        self.metrics.observe(condition.log_position, condition.views)
        self.metrics.count_readers(lambda: self.streams.readers)
        uploads = (Upload("POST", "/v1/artifacts", settings.max_upload), import_upload(settings.max_upload))
        return create_app(
            Shell(settings, self.metrics, release, uploads),
            [
                command_routes(self._registrar, self.metrics.write),
                stream_routes(self.streams),
                query_routes(self._queries),
                artifact_routes(self._blobs, max_bytes=settings.max_upload),
                status_routes(condition, Readiness(condition), self.metrics),
                admin_routes(administrator, settings.data),
            ],
        )

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._watched(self._projector.run(), "the projector")),
            asyncio.create_task(self._watched(self.orphans.run(self._leaving), "the collection of orphaned uploads")),
        ]
        # A registry of moderate size answers from its first request on; a large rebuild is not waited for.
        await self._projector.wait_for(self._store.max_position(), VIEWS_WITHIN)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:
            self.streams.close()
            self._leaving.set()
            await self._writer.close()
            await self._registrar.save_snapshots()
            await self._projector.close()
            await asyncio.wait(self._tasks)

    def close(self) -> None:
        """Give the data directory back without having worked."""
        self._opened.close()

    async def _watched(self, work: Coroutine[object, object, None], name: str) -> None:
        try:
            await work
        except Exception:
            logger.exception("%s has stopped", name)


def build(settings: Settings) -> Application:
    """A registry, wired and opened.

    Raises:
        Unavailable, Damaged: as :class:`Application`, and ``data_unusable`` for whatever else the directory lacks.
    """
    try:
        return Application(settings)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"{settings.data} cannot be used: {error}", code="data_unusable") from error


def run(settings: Settings) -> int:
    """Serve until a signal; the exit code: 0 when everything was finished, 1 when it could not start."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings))
    except RegistaError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stderr.write(f"regista: {error.detail}{hint}\n")
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not there on every platform
    except ImportError:
        return None
    return new_event_loop


async def _serve(settings: Settings) -> None:
    listener = listen(settings.host, settings.port)
    with listener:
        async with build(settings) as application:
            server = Server(application.asgi, settings, before_shutdown=application.streams.close)
            sys.stdout.write(greeting(url_of(listener), settings))
            sys.stdout.flush()
            await server.serve([listener])


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
