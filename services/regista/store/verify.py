"""Is the log what was written? Every row, its chain, its command, and a head that somebody kept elsewhere.

What a stream's later events vouch for cannot be changed unseen. The newest event of a stream is covered by the command
index. Whoever rewrites both, or cuts the log's end off with its index entries, is seen only by ``head``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

from regista.domain.chain import Head, Row, event_hash
from regista.domain.errors import Damaged, Malformed
from regista.store.chain_check import ChainCheck
from regista.store.command_check import CommandCheck
from regista.store.log import LogReader
from regista.store.problems import Kind, Problem

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the position reached and the last one."""

_CHUNK = 1000
_MOST = 1000
_HEAD = re.compile(r"(\d{1,18}):([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. ``proven``: what the given head proves: the whole log up to it, one stream, or nothing.

    ``problems`` holds the first 1000; ``found`` counts all.
    """

    head: Head
    log_id: str
    problems: tuple[Problem, ...]
    found: int
    proven: Literal["log", "stream"] | None = None

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.found


@dataclass(slots=True)
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    found: int = 0

    def add(self, *problems: Problem) -> None:
        self.found += len(problems)
        self.problems += problems[: max(0, _MOST - len(self.problems))]

    def add_from(self, check: Callable[[], list[Problem]], position: int) -> None:
        """Add what a check finds; pages that it cannot read are a problem too."""
        try:
            self.add(*check())
        except Damaged as error:
            self.add(Problem(position, "", 0, Kind.STORAGE, error.detail))


def verify(store: LogReader, *, head: str | None = None, progress: Progress = lambda _at, _last: None) -> VerifyReport:
    """Read the whole log, as it is now, and check everything.

    ``head`` is ``POSITION:HASH``. The hash is an event's, as a write answers it (proves its stream up to it), or the
    running digest of an earlier verify or of the status (proves the whole log up to it).

    Raises:
        Malformed: ``head`` is not of that form.
        Unavailable: the log cannot be read now.
    """
    wanted = _HeadCheck(head)
    findings = _Findings()
    chain = ChainCheck()
    commands = CommandCheck(store)
    findings.add_from(partial(_storage_problems, store), 0)
    last = store.max_position()
    for row in _rows(store, last, findings):
        findings.add(*chain.feed(row))
        findings.add_from(partial(commands.feed, row), row.position)
        wanted.feed(row, chain.head)
        if chain.head.count % _CHUNK == 0:
            progress(row.position, last)
    findings.add_from(partial(commands.finish, last), 0)
    findings.add(*wanted.finish(last))
    if chain.log_id != store.log_id:
        findings.add(Problem(0, "", 0, Kind.CREATION, f"it calls itself {store.log_id}, its events say {chain.log_id}"))
    progress(last, last)
    return VerifyReport(chain.head, store.log_id, tuple(findings.problems), findings.found, wanted.proven)


def _storage_problems(store: LogReader) -> list[Problem]:
    return [Problem(0, "", 0, Kind.STORAGE, text) for text in store.storage_problems()]


def _rows(store: LogReader, last: int, findings: _Findings) -> Iterator[Row]:
    """All rows up to ``last``; those on damaged pages are named and passed over."""
    position = 1
    while position <= last:
        try:
            rows = store.read(position, _CHUNK, last)
        except Damaged:
            end = min(position + _CHUNK - 1, last)
            yield from _rows_one_by_one(store, position, end, findings)
            position = end + 1
            continue
        if not rows:
            return
        yield from rows
        position = rows[-1].position + 1


def _rows_one_by_one(store: LogReader, first: int, end: int, findings: _Findings) -> Iterator[Row]:
    for position in range(first, end + 1):
        try:
            row = store.row(position)
        except Damaged as error:
            findings.add(Problem(position, "", 0, Kind.STORAGE, error.detail))
            continue
        if row is not None:
            yield row


class _HeadCheck:
    """Waits for the head's position and compares."""

    def __init__(self, text: str | None) -> None:
        self.proven: Literal["log", "stream"] | None = None
        self._position = 0
        self._hash = b""
        self._problem: Problem | None = None
        if text is not None:
            match = _HEAD.fullmatch(text.strip())
            if match is None:
                raise Malformed(
                    f"{text!r} is not a head.", hint="A head is POSITION:HASH; the hash has 64 hexadecimal digits."
                )
            self._position, self._hash = int(match[1]), bytes.fromhex(match[2])
            detail = "the log holds no event at the head's position"
            self._problem = Problem(self._position, "", 0, Kind.HEAD, detail)

    def feed(self, row: Row, head: Head) -> None:
        """Compare when ``row`` is the head's; ``head`` includes it."""
        if not self._hash or row.position != self._position:
            return
        if self._hash == head.digest:
            self.proven, self._problem = "log", None
        elif self._hash == event_hash(row.stream, row.sequence, row.value):
            self.proven, self._problem = "stream", None
        else:
            detail = "the hash is neither this event's nor the running digest here: the log was changed"
            self._problem = Problem.at(row, Kind.HEAD, detail)

    def finish(self, last: int) -> list[Problem]:
        """What the head shows once everything was read."""
        if self._problem is not None and self._position > last:
            detail = f"the log ends at position {last}: events at its end are gone"
            return [Problem(self._position, "", 0, Kind.HEAD, detail)]
        return [self._problem] if self._problem else []
