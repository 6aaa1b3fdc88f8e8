"""Verify, rebuild, export and import on a data directory without a server.

Reading needs no lock and works beside a running registry or on a copy. Rebuilding and importing take the directory's
lock, so they refuse while a registry has it. Everything blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from regista.domain.errors import Damaged
from regista.http.administrator import RegistryAdministrator, verification
from regista.projections.database import ViewsDatabase
from regista.projections.runner import Projector
from regista.store.birth import Importer
from regista.store.export import bounded_lines, export_lines, import_lines
from regista.store.feed import StoreFeed
from regista.store.sqlite.reader import SQLiteLogReader
from regista.store.sqlite.store import LOG_FILE, SQLiteLogStore
from regista.store.verify import verify
from regista.wire.administration import Imported, Rebuilt, Verification, ViewDigests

VIEWS_FILE = "views.db"
_PATIENCE = 1.0
"""Seconds between two looks at whether the projector still moves."""
Report = Callable[[int, int], None]
"""Told how many of how many events are done."""


def _silent(_done: int, _total: int) -> None:
    """Report nothing."""


def offline_verify(data: Path, *, head: str | None = None, report: Report = _silent) -> Verification:
    """Check every stored event, against a remembered head where one is given.

    Raises:
        NotFound: there is no log.
        Damaged: the file is no log, or one of a newer release.
    """
    with closing(SQLiteLogReader(data / LOG_FILE)) as log:
        return verification(verify(log, head=head, progress=report))


def offline_export(data: Path, *, report: Report = _silent) -> Iterator[str]:
    """The log as lines, each with its newline.

    Raises:
        NotFound, Damaged: as ``offline_verify``.
    """
    with closing(SQLiteLogReader(data / LOG_FILE)) as log:
        yield from export_lines(log, progress=report)


def offline_import(
    data: Path,
    source: IO[bytes],
    *,
    actor: str,
    reason: str | None = None,
    copy: bool = False,
    report: Report = _silent,
) -> Imported:
    """Make the exported log the log of an empty or new data directory.

    Raises:
        Refused: ``registry_not_empty``.
        Invalid: the export does not hold; nothing was changed.
        Unavailable: ``data_in_use``, or the directory cannot be written.
    """
    importer = Importer(actor, "asserted", datetime.now(UTC), reason)
    with closing(SQLiteLogStore(data)) as log:
        done = import_lines(log, bounded_lines(source), importer, copy=copy, progress=report)
    return Imported(log_id=done.log_id, position=done.head.position, events=done.head.count, copied=copy)


def offline_rebuild(data: Path, *, report: Report = _silent) -> Rebuilt:
    """Fold the views anew from the first event; where there were none, fold them.

    Raises:
        NotFound: there is no log.
        Unavailable: ``data_in_use``.
        Damaged: ``rebuild_failed``: the old views stay.
    """

    async def rebuild() -> Rebuilt:
        async with _folded(data) as administrator:
            return await administrator.rebuild(report)

    return asyncio.run(rebuild())


def offline_digests(data: Path) -> ViewDigests:
    """The digests of the views, folded up to the log's end.

    Raises:
        NotFound, Unavailable: as ``offline_rebuild``.
    """

    async def digests() -> ViewDigests:
        async with _folded(data) as administrator:
            return await administrator.digests()

    return asyncio.run(digests())


@asynccontextmanager
async def _folded(data: Path) -> AsyncIterator[RegistryAdministrator]:
    """The administration of a directory that nobody else has, once its views have reached the log's end."""
    SQLiteLogReader(data / LOG_FILE).close()
    with closing(SQLiteLogStore(data)) as log, closing(ViewsDatabase(data / VIEWS_FILE)) as views:
        projector = Projector(StoreFeed(log), views)
        running = asyncio.create_task(projector.run())
        try:
            while not await projector.wait_for(log.max_position(), _PATIENCE):
                _check(projector)
            yield RegistryAdministrator(log, projector, replaced=_nothing)
        finally:
            await projector.close()
            await running


def _check(projector: Projector) -> None:
    """Stop waiting for views that do not move.

    Raises:
        Damaged: they cannot apply an event, or the log cannot be read.
    """
    state = projector.status()
    errors = [view.error for view in state.views if view.error is not None]
    if state.error is not None or errors:
        raise Damaged(state.error or errors[0], hint="regista verify names what is wrong with the log")


def _nothing() -> None:
    """Nobody follows this log."""
