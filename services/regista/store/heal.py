"""Makes a store equal to another copy of its log again: Kafka's, when the store was lost, fell back or was forked.

The copy is the truth: whatever left the registry left it by there. What the store has beyond the copy's end is kept where
the store is otherwise equal (it was not published yet), and put aside where the two contradict each other, for it rests
on events that never were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, takewhile

from regista.domain.chain import Row, event_hash
from regista.domain.errors import Invalid, Reason, Refused
from regista.domain.events import LogHealed
from regista.domain.identifiers import new_id
from regista.schemas.atomic import atomic_sets
from regista.store.append import CommandKey
from regista.store.birth import Importer, log_stream, of_log
from regista.store.chain_check import ChainCheck
from regista.store.command_sets import CommandSet, command_sets
from regista.store.log import LogReader, LogStore

GAP = 1_000_000
"""Positions that are never given: more than may have been answered since the copy's end."""
_CHUNK = 1000
Progress = Callable[[int], None]
"""Told the position of the copy that was reached."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Another copy of a log: where it is (``kafka``), the log's identity, and its rows in the order of position.

    ``rows`` is called twice. What was appended in between is not looked at.
    """

    source: str
    log_id: str
    rows: Callable[[], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class HealReport:
    """What was done. ``restored`` and ``quarantined`` 0: the store was equal already, and nothing was changed.

    ``position`` is that of ``LogHealed``, or of the newest event where nothing was done. ``unpublished`` events are
    those beyond the copy's end that stay.
    """

    log_id: str
    position: int
    kept: int
    restored: int
    quarantined: int
    unpublished: int

    @property
    def healed(self) -> bool:
        """Whether anything had to be done."""
        return bool(self.restored or self.quarantined)


def heal(
    store: LogStore,
    copy: Copy,
    by: Importer,
    quarantine: Callable[[Iterable[Row]], None],
    *,
    before: Callable[[], None] = lambda: None,
    progress: Progress = lambda _at: None,
) -> HealReport:
    """Make ``store`` equal to ``copy``, durably, or change nothing.

    ``quarantine`` is given the rows of the store that the copy does not have, and must have them on the disk when it
    returns. It is called once, before anything changes, where there are any. ``before`` is called right before the
    change, where there is one.

    Raises:
        Refused: ``foreign_log``: the store has events of another log; ``log_moved``: something writes to it.
        Invalid: ``copy_damaged``: the copy does not begin with the log's creation, or does not hold.
    """
    is_new = store.log_id != copy.log_id
    if is_new and store.max_position() > 1:
        raise Refused(
            f"The store holds the log {store.log_id}, {copy.source} the log {copy.log_id}.",
            code="foreign_log",
            hint="Name the topics of this very log, or an empty data directory to restore the other one into.",
        )
    found = _Comparison(store, copy, progress)
    aside = 0
    if not is_new:
        differing = found.differing()
        first = next(differing, None)
        if first is not None:
            aside = _put_aside(chain([first], differing), quarantine)
    found.finish()
    if not is_new and not found.parted:
        return HealReport(copy.log_id, store.max_position(), found.kept, 0, 0, found.unpublished)
    end = store.max_position() if is_new else found.end
    healed = _healed(found, copy, by, end, aside)
    before()
    store.restore(found.common, _rest(found, copy, healed), copy.log_id, end=end)
    return HealReport(copy.log_id, healed.rows[0].position, found.kept, found.restored, aside, 0)


class _Comparison:
    """Store and copy, side by side in the order of position; every row of the copy is checked on the way.

    ``common`` is the position up to which both are equal, the end of an atomic set; ``end`` that of the store's newest
    event. Complete after ``finish``.
    """

    def __init__(self, store: LogReader, copy: Copy, progress: Progress) -> None:
        self._copy = copy
        self._progress = progress
        self._own = atomic_sets(stored(store, 1))
        self._rows = iter(self._read())
        self.check = ChainCheck()
        self.tip: Row | None = None
        """The newest event of the log's own stream, in the copy."""
        self.parted = False
        self.end = self.common = self.kept = self.restored = self.unpublished = 0

    def differing(self) -> Iterator[Row]:
        """The rows of the store that the copy has not, in order. Those behind the copy's end only if they rest on such."""
        theirs = next(self._rows, None)
        for _, rows in self._own:
            self.end = rows[-1].position
            while theirs is not None and theirs[-1].position < rows[0].position:
                self._missing(theirs)
                theirs = next(self._rows, None)
            if theirs == rows:
                self._equal(rows)
                theirs = next(self._rows, None)
            elif theirs is None and not self.parted:
                self.unpublished += len(rows)
            else:
                self.parted = True
                yield from rows
        if theirs is not None:
            self._missing(theirs)

    def finish(self) -> None:
        """Read the rest of the copy.

        Raises:
            Invalid: ``copy_damaged``.
        """
        for rows in self._rows:
            self._missing(rows)
        self._progress(self.check.head.position)

    def _equal(self, rows: tuple[Row, ...]) -> None:
        if self.parted:
            self.restored += len(rows)
        else:
            self.common = rows[-1].position
            self.kept += len(rows)

    def _missing(self, rows: tuple[Row, ...]) -> None:
        self.parted = True
        self.restored += len(rows)

    def _read(self) -> Iterator[tuple[Row, ...]]:
        for _, rows in atomic_sets(self._copy.rows()):
            for row in rows:
                self._take(row)
            yield rows

    def _take(self, row: Row) -> None:
        if problems := self.check.feed(row):
            raise Invalid(
                f"What {self._copy.source} has does not hold at position {row.position}.",
                code="copy_damaged",
                reasons=[Reason(problem.kind, str(problem)) for problem in problems],
                hint="Restore the store from a backup or an export instead.",
            )
        if row.stream == log_stream(self._copy.log_id):
            self.tip = row
        if self.check.head.count % _CHUNK == 0:
            self._progress(row.position)


def _rest(found: _Comparison, copy: Copy, healed: CommandSet) -> Iterator[CommandSet]:
    """What the store is given: the copy behind the common part, and the event that says so."""
    end = found.check.head.position
    behind = (row for row in copy.rows() if row.position > found.common)
    yield from command_sets(takewhile(lambda row: row.position <= end, behind))
    yield healed


def _healed(found: _Comparison, copy: Copy, by: Importer, last_given: int, aside: int) -> CommandSet:
    """The event behind the gap."""
    head, tip = found.check.head, found.tip
    if tip is None:
        raise Invalid(
            f"What {copy.source} has is no log.", code="copy_damaged", hint="Look at the names of the topics."
        )
    command = CommandKey(by.actor, f"log-healed:{new_id()}", sha256(copy.log_id.encode()).digest())
    event = LogHealed(
        log_id=copy.log_id,
        source=copy.source,
        source_position=head.position,
        kept=found.kept,
        restored=found.restored,
        quarantined=aside,
    )
    previous_hash = event_hash(tip.stream, tip.sequence, tip.value)
    recorded = of_log(tip.stream, tip.sequence + 1, previous_hash, event, command, by)
    position = max(head.position, last_given) + GAP + 1
    return CommandSet(command, (Row(position, tip.stream, tip.sequence + 1, recorded.topic, recorded.state),))


def stored(store: LogReader, position: int) -> Iterator[Row]:
    """The rows of a store from a position on."""
    while rows := store.read(position, _CHUNK):
        yield from rows
        position = rows[-1].position + 1


def _put_aside(rows: Iterable[Row], quarantine: Callable[[Iterable[Row]], None]) -> int:
    """Hand rows over; how many they were."""
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    quarantine(counted())
    return count
