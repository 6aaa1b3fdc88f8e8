"""The log and the views as a whole, on a running registry: verify, rebuild, export, import."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Generic, TypeAlias, TypeVar

from regista.client.bind import read
from regista.client.calls import Read, Write
from regista.client.errors import Unreachable, from_response
from regista.client.exchange import FileBody, Receive, Request, Response, Run, Steps, TransportFault
from regista.client.landing import beside, finish
from regista.client.retry import open_stream
from regista.client.session import Session, given, parse, path, query_pairs
from regista.domain.errors import Damaged, NotFound
from regista.wire.administration import Imported, Rebuilt, Skipped, Verification, ViewDigests
from regista.wire.base import Resource

R = TypeVar("R", bound=Resource)
Report: TypeAlias = Callable[[int, int], None]
"""Called with how much is done and of how much: events, or bytes of an upload."""
_LINES = "application/x-ndjson"
_CHUNK = 1 << 20


class Exported(Resource):
    """An export on this machine: how many events, and the running digest over all of them."""

    path: str
    log_id: str
    events: int
    digest: str


@dataclass(frozen=True, slots=True)
class Operation(Generic[R]):
    """A long operation of the registry, which says how far it is until it answers."""

    answer: type[R]
    name: str
    query: dict[str, object] = field(default_factory=dict)
    body: FileBody | None = None
    report: Report | None = None

    def perform(self, session: Session) -> Steps[R]:
        """Have it done. The registry finishes it even when the connection breaks.

        Raises:
            Unreachable: the connection broke before the answer.
        """
        headers = session.headers(**{"Accept": _LINES, "Accept-Encoding": "identity"})
        if self.body is not None:
            headers["Content-Type"] = _LINES
        request = Request("POST", path("admin", self.name), query_pairs(self.query), headers, self.body)
        opened = yield from open_stream(request, session.patience)
        lines = _Lines()
        try:
            while opened.stream is not None and (chunk := (yield Receive(opened.stream))) is not None:
                for line in lines.feed(chunk):
                    if "result" in line:
                        return parse(self.answer, json.dumps(line["result"]).encode())
                    self._take(line)
        except TransportFault as fault:
            raise self._lost(fault.cause) from fault
        raise self._lost("it ended without a result")

    def _take(self, line: dict[str, object]) -> None:
        problem, progress = line.get("problem"), line.get("progress")
        if isinstance(problem, dict):
            raise from_response(Response(int(problem.get("status", 500)), {}, json.dumps(problem).encode()))
        if isinstance(progress, dict) and self.report:
            self.report(int(progress["done"]), int(progress["total"]))

    def _lost(self, why: str) -> Unreachable:
        hint = "The registry goes on with it; `regista status` shows where it stands."
        return Unreachable(f"the connection broke during the {self.name}: {why}", hint=hint)


class _Lines:
    """JSON lines out of pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[dict[str, object]]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Export:
    """Download the log as JSON Lines."""

    place: Path
    report: Report | None = None

    def perform(self, session: Session) -> Steps[Exported]:
        """Write the file; it is there when it is complete, and not before.

        Raises:
            Damaged: ``export_cut_short``.
        """
        request = session.reading(path("admin", "export"), fresh=False)
        request = replace(request, headers={**request.headers, "Accept": _LINES, "Accept-Encoding": "identity"})
        opened = yield from open_stream(request, session.patience, _CHUNK)
        tally = _Tally(self.report)
        with beside(self.place) as (temporary, file):
            try:
                while opened.stream is not None and (chunk := (yield Receive(opened.stream))) is not None:
                    yield Run(_writing(file, tally, chunk))
            except TransportFault as fault:
                raise Unreachable(f"the connection broke during the export: {fault.cause}") from fault
            log_id, events, digest = tally.finished(self.place)
            yield Run(lambda: finish(file, temporary, self.place))
        return Exported(path=str(self.place), log_id=log_id, events=events, digest=digest)


def _writing(file: BinaryIO, tally: _Tally, chunk: bytes) -> Callable[[], None]:
    def write() -> None:
        file.write(chunk)
        tally.take(chunk)

    return write


class _Tally:
    """Counts the lines of an export as it comes, and keeps the first and the last."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._header: dict[str, object] = {}
        self._last = b""
        self._rest = b""
        self._lines = 0

    def take(self, chunk: bytes) -> None:
        """Count what has come."""
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        if not complete:
            return
        if not self._lines:
            self._header = json.loads(complete[0])
        self._lines += len(complete)
        self._last = complete[-1]
        if self._report:
            self._report(self._lines, int(str(self._header["last_position"])))

    def finished(self, place: Path) -> tuple[str, int, str]:
        """Log id, events and digest.

        Raises:
            Damaged: ``export_cut_short``, when the last line is not the footer.
        """
        try:
            footer = json.loads(self._last)
            return str(self._header["log_id"]), int(footer["count"]), str(footer["digest"])
        except (ValueError, KeyError) as error:
            raise Damaged(
                f"the export to {place} was cut short",
                code="export_cut_short",
                hint="Export again; nothing was written.",
            ) from error


@dataclass(frozen=True, slots=True)
class Import:
    """Upload an export into an empty registry."""

    source: Path
    copy: bool
    reason: str | None
    report: Report | None = None

    def perform(self, session: Session) -> Steps[Imported]:
        """Have it imported. Everything is checked before the first event is visible.

        Raises:
            NotFound: there is no such file.
        """
        if not self.source.is_file():
            raise NotFound(f"there is no export at {os.fspath(self.source)!r}", code="path_not_found")
        body = FileBody(self.source, 0, self.source.stat().st_size)
        query: dict[str, object] = {"copy": self.copy or None, "reason": self.reason}
        imported = yield from Operation(Imported, "import", query, body, self.report).perform(session)
        session.saw(imported.position)
        return imported


class Administration:
    """The administration, of both clients."""

    @read
    def verify(
        self, head: str | None = None, *, kafka: bool = False, report: Report | None = None
    ) -> Operation[Verification]:
        """Read every stored event and check every hash; ``head`` (``POSITION:HASH``) proves what came before it.

        ``kafka``: compare with the topic as well, record by record. Edited, removed, inserted and swapped events are
        found and named in the answer: it does not raise for them.
        """
        return Operation(Verification, "verify", {"head": head, "kafka": "true" if kafka else None}, report=report)

    @read
    def rebuild(self, *, report: Report | None = None) -> Operation[Rebuilt]:
        """Fold all views anew from the first event; reads go on meanwhile."""
        return Operation(Rebuilt, "rebuild", report=report)

    @read
    def skip(self, position: int, reason: str, *, view: str | None = None) -> Write[Skipped]:
        """Let a view pass over an event that it cannot apply; all that stand still before it, unless one is named."""
        return Write(Skipped, "POST", path("admin", "skip"), given(position=position, reason=reason, view=view))

    @read
    def digests(self) -> Read[ViewDigests]:
        """A digest over the content of every view: equal on every copy of the log, and after every rebuild."""
        return Read(ViewDigests, path("admin", "digests"), fresh=False)

    @read
    def export_log(self, place: str | os.PathLike[str], *, report: Report | None = None) -> Export:
        """Write the whole log into a file, with the very bytes of its events."""
        return Export(Path(place), report)

    @read
    def import_log(
        self,
        source: str | os.PathLike[str],
        *,
        copy: bool = False,
        reason: str | None = None,
        report: Report | None = None,
    ) -> Import:
        """Fill an empty registry with an export: same positions, same hashes. ``copy``: under a log id of its own."""
        return Import(Path(source), copy, reason, report)
