"""Administration over the parts of a running registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import IO

from regista.domain.chain import Head as LogHead
from regista.domain.errors import Invalid, NotFound, Refused, Unavailable
from regista.http.authentication import Principal
from regista.http.progress import Report
from regista.projections.projection import Projection
from regista.store.birth import Importer
from regista.store.compare import CopyReport
from regista.store.export import bounded_lines, export_lines, import_lines
from regista.store.log import LogStore
from regista.store.verify import VerifyReport, verify
from regista.wire.administration import (
    Imported,
    KafkaCopy,
    LogProblem,
    Rebuilt,
    Skipped,
    SkipPosition,
    Verification,
    ViewDigests,
)
from regista.wire.resources import Head

Compare = Callable[[Report], CopyReport]
_CHUNK = 256 * 2**10
_LOOK_EVERY = 1.0
"""Seconds between two looks at how far the views are."""


def verification(found: VerifyReport, copy: CopyReport | None = None) -> Verification:
    """What a verification found, and the comparison with Kafka where there was one, as the API tells it."""
    more = () if copy is None else copy.problems
    total = found.found + (0 if copy is None else copy.found)
    return Verification(
        ok=not total,
        log_id=found.log_id,
        head=_head(found.head),
        proven=found.proven,
        kafka=copy and KafkaCopy(log_id=copy.log_id, head=_head(copy.head), unpublished=copy.unpublished),
        found=total,
        problems=[
            LogProblem(
                kind=problem.kind,
                detail=problem.detail,
                position=problem.position or None,
                stream=problem.stream or None,
                sequence=problem.sequence or None,
            )
            for problem in (*found.problems, *more)
        ],
    )


def _head(head: LogHead) -> Head:
    return Head(position=head.position, count=head.count, digest=head.digest.hex())


def export_chunks(log: LogStore) -> Iterator[bytes]:
    """An export in pieces of a size that is worth sending."""
    gathered: list[str] = []
    size = 0
    for line in export_lines(log):
        gathered.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    yield "".join(gathered).encode()


class RegistryAdministrator:
    """Implements ``Administrator``. ``replaced`` is called when the log has become another one.

    ``compare`` compares the log with Kafka's copy, where there is one.
    """

    def __init__(
        self, log: LogStore, projector: Projection, *, replaced: Callable[[], None], compare: Compare | None = None
    ) -> None:
        self._log = log
        self._compare = compare
        self._projector = projector
        self._replaced = replaced

    async def verify(self, head: str | None, report: Report, *, kafka: bool) -> Verification:
        """Verify the log as it is now, and with ``kafka`` compare it with the topic, in a thread.

        Raises:
            Invalid: ``no_kafka``: there is none to compare with.
        """
        if kafka and self._compare is None:
            raise Invalid("This registry has no Kafka.", code="no_kafka", hint="Start it with REGISTA_KAFKA=HOST:PORT.")
        found = await asyncio.to_thread(verify, self._log, head=head, progress=report)
        copy = await asyncio.to_thread(self._compare, report) if kafka and self._compare is not None else None
        return verification(found, copy)

    async def rebuild(self, report: Report) -> Rebuilt:
        """Rebuild the views."""
        started = monotonic()
        compared = await self._projector.rebuild(report)
        return Rebuilt(
            position=min((view.position for view in compared), default=0),
            digests={view.view: view.after for view in compared},
            previous={view.view: view.before for view in compared if view.before is not None},
            equal=all(view.equal is not False for view in compared),
            events=self._projector.status().head.count,
            seconds=round(monotonic() - started, 3),
        )

    async def skip(self, wanted: SkipPosition, by: Principal) -> Skipped:
        """Let views pass over an event of the log.

        Raises:
            NotFound: ``unknown_position``, ``unknown_view``.
            Refused: ``nothing_to_skip``.
            Unavailable: ``skip_not_recorded``.
        """
        if await asyncio.to_thread(self._log.row, wanted.position) is None:
            raise NotFound(f"the log has no event at position {wanted.position}", code="unknown_position")
        try:
            skips = await self._projector.skip(wanted.position, wanted.reason, wanted.view, actor=by.actor)
        except OSError as error:
            raise Unavailable(f"the skip cannot be recorded: {error}", code="skip_not_recorded") from error
        return Skipped(
            position=wanted.position,
            views=[skip.view for skip in skips],
            reason=wanted.reason,
            actor=by.actor,
            time=datetime.fromisoformat(skips[0].time),
        )

    async def digests(self) -> ViewDigests:
        """The digests of the views at one moment."""
        position = min((view.position for view in self._projector.status().views), default=0)
        return ViewDigests(position=position, digests=await self._projector.digests())

    def export(self) -> Iterator[bytes]:
        """The log as lines."""
        return export_chunks(self._log)

    async def import_(
        self, lines: IO[bytes], by: Principal, reason: str | None, *, copy: bool, report: Report
    ) -> Imported:
        """Become the exported log, and fold it. Reads may say meanwhile that the views are built.

        Raises:
            Refused: ``log_published``: Kafka may have the beginning of the present log, which would go on as another.
            Unavailable: ``log_in_use``: there are other registrars.
        """
        if self._compare is not None:
            raise Refused(
                "This registry publishes its log on Kafka, and its beginning may be there already.",
                code="log_published",
                hint="Import before Kafka is named: start without REGISTA_KAFKA, import, and then name it, with a prefix "
                "(REGISTA_KAFKA_PREFIX) that no other log has.",
            )
        importer = Importer(by.actor, by.identity, datetime.now(UTC), reason)
        imported = await asyncio.to_thread(_import, self._log, lines, importer, copy=copy, report=report)
        self._replaced()
        while not await self._projector.wait_for(imported.position, _LOOK_EVERY):
            state = self._projector.status()
            report(min((view.position for view in state.views), default=0), imported.position)
            if state.error is not None:
                break  # the import itself is done; the status says what keeps the views
        return imported


def _import(log: LogStore, file: IO[bytes], importer: Importer, *, copy: bool, report: Report) -> Imported:
    try:
        done = import_lines(log, bounded_lines(file), importer, copy=copy, progress=report)
    except Unavailable as error:
        if error.code != "log_in_use":
            raise
        raise Unavailable(
            error.detail,
            code=error.code,
            hint="A registrar imports only where it is the only one. Stop all of them, and import without: "
            "regista import FILE --database URL.",
        ) from error
    return Imported(log_id=done.log_id, position=done.head.position, events=done.head.count, copied=copy)
