"""Verify, rebuild, export, import and heal where the settings say that the log is, without a server.

Reading needs no lock and works beside a running registry or on a copy. What replaces events refuses while a registrar
may write, wherever the log is; what folds views takes the data directory's lock. Everything blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import IO

from regista.copies import check_not_published, compare_with_kafka
from regista.domain.errors import Damaged
from regista.http.administrator import RegistryAdministrator, verification
from regista.projections.runner import Projector
from regista.settings import Settings
from regista.storage import open_log, open_log_reader, open_views
from regista.store.birth import Importer
from regista.store.export import bounded_lines, export_lines, import_lines
from regista.store.feed import StoreFeed
from regista.store.verify import verify
from regista.wire.administration import Imported, Rebuilt, Verification, ViewDigests

_PATIENCE = 1.0
"""Seconds between two looks at whether the projector still moves."""
Report = Callable[[int, int], None]
"""Told how many of how many events are done."""


def _silent(_done: int, _total: int) -> None:
    """Report nothing."""


def offline_verify(
    settings: Settings, *, head: str | None = None, kafka: bool = False, report: Report = _silent
) -> Verification:
    """Check every stored event, against a remembered head where one is given, and against Kafka where that is wanted.

    Raises:
        NotFound: there is no log.
        Damaged: the file is no log, or one of a newer release; or the topic holds what is no event.
        Unavailable: the log or Kafka cannot be read now.
    """
    with closing(open_log_reader(settings)) as log:
        found = verify(log, head=head, progress=report)
        return verification(found, compare_with_kafka(log, settings, report) if kafka else None)


def offline_export(settings: Settings, *, report: Report = _silent) -> Iterator[str]:
    """The log as lines, each with its newline.

    Raises:
        NotFound, Damaged: as ``offline_verify``.
    """
    with closing(open_log_reader(settings)) as log:
        yield from export_lines(log, progress=report)


def offline_import(
    settings: Settings,
    source: IO[bytes],
    *,
    actor: str,
    reason: str | None = None,
    copy: bool = False,
    report: Report = _silent,
) -> Imported:
    """Make the exported log the log of an empty or new registry.

    Raises:
        Refused: ``registry_not_empty``; ``log_published``: Kafka is named and has the beginning of the present log.
        Invalid: the export does not hold; nothing was changed.
        Unavailable: ``data_in_use`` or ``log_in_use``, or it cannot be written, or Kafka cannot be read.
    """
    importer = Importer(actor, "asserted", datetime.now(UTC), reason)
    with closing(open_log(settings)) as log, log.alone():
        check_not_published(log, settings)
        done = import_lines(log, bounded_lines(source), importer, copy=copy, progress=report)
    return Imported(log_id=done.log_id, position=done.head.position, events=done.head.count, copied=copy)


def offline_rebuild(settings: Settings, *, report: Report = _silent) -> Rebuilt:
    """Fold the views anew from the first event; where there were none, fold them.

    Raises:
        NotFound: there is no log.
        Unavailable: ``data_in_use``.
        Damaged: ``rebuild_failed``: the old views stay.
    """

    async def rebuild() -> Rebuilt:
        async with _folded(settings) as administrator:
            return await administrator.rebuild(report)

    return asyncio.run(rebuild())


def offline_digests(settings: Settings) -> ViewDigests:
    """The digests of the views, folded up to the log's end.

    Raises:
        NotFound, Unavailable: as ``offline_rebuild``.
    """

    async def digests() -> ViewDigests:
        async with _folded(settings) as administrator:
            return await administrator.digests()

    return asyncio.run(digests())


@asynccontextmanager
async def _folded(settings: Settings) -> AsyncIterator[RegistryAdministrator]:
    """The administration of a registry that does not run, once its views have reached the log's end."""
    open_log_reader(settings).close()
    with closing(open_log(settings)) as log, closing(open_views(settings)) as views:
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
        hint = state.hint or "regista verify names what is wrong with the log"
        raise Damaged(state.error or errors[0], hint=hint)


def _nothing() -> None:
    """Nobody follows this log."""
