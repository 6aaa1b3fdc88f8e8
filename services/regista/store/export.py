"""The log as JSON Lines: a header, one line for each event with its exact bytes, a footer with the running digest.

Importing gives the same positions, sequences, bytes and hashes; a copy goes on as a log of its own.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from regista.domain.chain import Head, Row, advance
from regista.domain.errors import Invalid, Reason
from regista.store.birth import Importer, imported, new_log_id
from regista.store.chain_check import ChainCheck
from regista.store.command_sets import CommandSet, command_sets
from regista.store.log import LogReader, LogStore
from regista.store.problems import Problem

FORMAT = "regista-export"
VERSION = 1
LINE_LIMIT = 2 * 2**20
"""Bytes. An event has at most 512 KiB, and a third more as base64."""
_CHUNK = 1000
_Progress = Callable[[int, int], None]


def _silent(_at: int, _last: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What the log is now: its identity, and its head (which includes ``LogImported`` after a copy)."""

    log_id: str
    head: Head


def export_lines(store: LogReader, *, progress: _Progress = _silent) -> Iterator[str]:
    """Lines, each with its newline, of the log as it is now. Appends that come later are not in it.

    Raises:
        Damaged: the database cannot read its own pages.
    """
    last = store.max_position()
    yield _line({"format": FORMAT, "version": VERSION, "log_id": store.log_id, "last_position": last})
    head, position = Head(), 1
    while position <= last and (rows := store.read(position, _CHUNK, last)):
        for row in rows:
            head = advance(head, row)
            yield event_line(row)
        position = head.position + 1
        progress(head.position, last)
    yield _line({"count": head.count, "digest": head.digest.hex()})


def event_line(row: Row) -> str:
    """One event as a line, with its newline."""
    return _line(
        {
            "position": row.position,
            "stream": row.stream,
            "sequence": row.sequence,
            "type": row.type,
            "value": b64encode(row.value).decode(),
        }
    )


def bounded_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, none of them held beyond what a line of an export can be.

    Raises:
        Invalid: ``export_damaged``: a line is longer than ``LINE_LIMIT``.
    """
    number = 0
    while line := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(line) > LINE_LIMIT:
            raise Invalid(f"Line {number} is longer than an event can be.", code="export_damaged")
        yield line


def import_lines(
    store: LogStore,
    lines: Iterable[str | bytes],
    importer: Importer,
    *,
    copy: bool = False,
    progress: _Progress = _silent,
) -> ImportReport:
    """Fill an empty registry with an export. Everything is checked; unless all of it holds, nothing changes.

    The log id is taken over: the exported log must not be written any more. ``copy`` appends ``LogImported`` by
    ``importer`` and assigns a new one.

    Raises:
        Refused: ``registry_not_empty``.
        Invalid: not an export, cut short, or an event that does not hold; the reasons name line and event.
    """
    source = _Export(lines, progress)
    log_id = new_log_id() if copy else source.log_id
    store.adopt(_sets(source, importer, log_id, copy=copy), log_id)
    return ImportReport(log_id, source.check.head)


def _sets(source: _Export, importer: Importer, log_id: str, *, copy: bool) -> Iterator[CommandSet]:
    """The sets of an export and, after its footer was checked, the event of its import."""
    yield from command_sets(source.rows())
    if copy:
        added = imported(importer, log_id, source.log_id, source.check.head)
        source.check.feed(added.rows[0])
        yield added


class _Export:
    """An export that is being read."""

    def __init__(self, lines: Iterable[str | bytes], progress: _Progress) -> None:
        self._lines = iter(lines)
        self._number = 0
        self._progress = progress
        self.check = ChainCheck()
        header = self._next()
        if header.get("format") != FORMAT:
            raise Invalid("This is not an export of Regista.", code="not_an_export")
        if header.get("version") != VERSION:
            raise Invalid(
                f"The export has version {header.get('version')}, this release reads {VERSION}.",
                code="export_version",
                hint="Import it with the release that wrote it, or a later one.",
            )
        self.log_id = _text(header, "log_id")
        self._last = _number(header, "last_position")

    def rows(self) -> Iterator[Row]:
        """Every row, checked; ends only when the footer holds as well.

        Raises:
            Invalid: something does not hold.
        """
        while "position" in (entry := self._next()):
            row = self._row(entry)
            if problems := self.check.feed(row):
                raise self._invalid(problems)
            if self.check.head.count % _CHUNK == 0:
                self._progress(row.position, self._last)
            yield row
        head = self.check.head
        if (entry.get("count"), entry.get("digest")) != (head.count, head.digest.hex()):
            raise Invalid("The footer does not fit the events before it.", code="export_damaged")
        if self.check.log_id != self.log_id:
            raise Invalid("The header names another log than the events.", code="export_damaged")
        if next(self._lines, None) is not None:
            raise Invalid("There are lines behind the footer.", code="export_damaged")
        self._progress(self._last, self._last)

    def _next(self) -> dict[str, Any]:
        self._number += 1
        line = next(self._lines, None)
        if line is None:
            raise Invalid(
                f"The export ends at line {self._number - 1}, without a footer.",
                code="export_damaged",
                hint="It was cut short: export again.",
            )
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Invalid(f"Line {self._number} is not JSON.", code="export_damaged") from error
        if not isinstance(entry, dict):
            raise Invalid(f"Line {self._number} is not an object.", code="export_damaged")
        return entry

    def _row(self, entry: dict[str, Any]) -> Row:
        try:
            value = b64decode(_text(entry, "value"), validate=True)
        except NotBase64 as error:
            raise Invalid(f"The value on line {self._number} is not base64.", code="export_damaged") from error
        return Row(
            _number(entry, "position"), _text(entry, "stream"), _number(entry, "sequence"), _text(entry, "type"), value
        )

    def _invalid(self, problems: Iterable[Problem]) -> Invalid:
        reasons = [Reason(problem.kind, str(problem), f"line {self._number}") for problem in problems]
        return Invalid(f"The event on line {self._number} does not hold.", code="export_damaged", reasons=reasons)


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.isprintable():
        raise Invalid(f"{name!r} is missing where the export needs it, or no plain text.", code="export_damaged")
    return value


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    if type(value) is not int or not 0 < value < 2**63:
        raise Invalid(f"{name!r} is missing where the export needs it, or no positive number.", code="export_damaged")
    return value


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
