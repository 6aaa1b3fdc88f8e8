"""A view together with where one of its generations stands, and the blocking work on it.

Everything here runs in the projector's one thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from regista.domain.chain import Row
from regista.projections.catalogue import Entry
from regista.projections.changes import Change, Statement, Values, Write
from regista.projections.decoding import CannotDecode, Item, Progress, advanced, decode_row, decode_rows
from regista.projections.storage import ViewsStorage
from regista.projections.views.base import Fold, View
from regista.schemas.atomic import atomic_sets


@dataclass(frozen=True, slots=True)
class Member:
    """A view and the entry of one of its generations."""

    view: View
    entry: Entry


_POSITION = re.compile(r"position (\d+) ")
Late: TypeAlias = dict[Statement, list[Values]]
CHUNK = 1_000
"""Events decoded at a time: what is alive at once stays small, and the collector of cycles has little to look at."""
SECTION = 5_000
"""Events folded into one set of changes: a row that many of them touch is written once."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What one section changes, for each member: the changes, or what its fold raised."""

    changes: Sequence[Sequence[Change] | Exception]
    progress: Progress


class _Attempt:
    """A fold whose errors are its view's failure, and not that of the batch. It begins with what concerns the view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._fold: Fold | None = None
        self._error: Exception | None = None

    def add(self, items: Sequence[Item], kinds: frozenset[str]) -> None:
        """Take the items, which are of these kinds of streams, unless it failed before or none concerns the view."""
        concerns = self._view.kinds
        if self._error is None and (concerns is None or not concerns.isdisjoint(kinds)):
            try:
                if self._fold is None:
                    self._fold = self._view.begin()
                self._fold.add(items)
            except Exception as error:  # noqa: BLE001 - whatever a fold raises
                self._error = error

    def changes(self) -> Sequence[Change] | Exception:
        """The changes, or what it raised."""
        if self._error is None:
            try:
                return [] if self._fold is None else self._fold.changes()
            except Exception as error:  # noqa: BLE001 - whatever a fold raises
                self._error = error
        return self._error


class _Failed(Exception):
    """A member cannot apply an event."""

    def __init__(self, member: Member) -> None:
        super().__init__(member.view.name)
        self.member = member


def apply(database: ViewsStorage, members: Sequence[Member], rows: Sequence[Row]) -> list[Member]:
    """Fold whole atomic sets into members that have all come equally far; the members as they stand then.

    All of it is one transaction. A view that cannot apply an event keeps what comes before it and is ``degraded``;
    the others go on.

    Raises:
        Overtaken: another projector was faster; nothing was written.
        Exception: the database cannot be written now (``is_hindered``); nothing was.
    """
    positions = {row.position for row in rows}
    skips = {m.entry.key: database.skips(m.view) & positions for m in members}
    smooth = [m for m in members if not skips[m.entry.key]]
    while smooth:
        try:
            done = _smoothly(database, smooth, rows)
            break
        except CannotDecode:
            smooth = []
        except _Failed as failure:
            smooth = [m for m in smooth if m is not failure.member]
    else:
        done = []
    finished = {m.entry.key for m in done}
    rest = [m for m in members if m.entry.key not in finished]
    return [*done, *(_carefully(database, m, rows, skips[m.entry.key]) for m in rest)]


def _smoothly(database: ViewsStorage, members: Sequence[Member], rows: Sequence[Row]) -> list[Member]:
    after = members[0].entry.progress
    late: list[Late] = [{} for _ in members]
    with database.transaction(large=len(rows) >= CHUNK):
        for prepared in _prepared(members, rows):
            for member, changes, later in zip(members, prepared.changes, late, strict=True):
                if isinstance(changes, Exception):
                    raise _Failed(member)
                if changes:
                    _write(database, member, [change for change in changes if not _put_off(change, later)])
            after = prepared.progress
        for member, later in zip(members, late, strict=True):
            if later:
                puts = [Write(statement, sorted(values, key=tuple)) for statement, values in later.items()]
                _write(database, member, puts)
        moved = [Member(m.view, m.entry.at(after)) for m in members]
        database.advance_together([m.entry for m in members], [m.entry for m in moved])
    return moved


def _put_off(change: Change, later: Late) -> bool:
    """Keep what may be written last: sorted, a large batch visits every page of an index once."""
    if not isinstance(change, Write) or not change.statement.late:
        return False
    later.setdefault(change.statement, []).extend(change.rows)
    return True


def _write(database: ViewsStorage, member: Member, changes: Sequence[Change]) -> None:
    try:
        database.write(member.view, member.entry.generation, changes)
    except Exception as error:
        if database.is_hindered(error):
            raise
        raise _Failed(member) from error


def _prepared(members: Sequence[Member], rows: Sequence[Row]) -> Iterator[_Prepared]:
    """The sections of a batch, in order."""
    progress = members[0].entry.progress
    for section in _cut(rows, SECTION):
        prepared = _prepare(members, section, progress)
        progress = prepared.progress
        yield prepared


def _prepare(members: Sequence[Member], rows: Sequence[Row], progress: Progress) -> _Prepared:
    folds = [_Attempt(member.view) for member in members]
    running_time = progress.running_time
    for chunk in _cut(rows, CHUNK):
        items, broken = decode_rows(chunk, running_time)
        if broken is not None:
            raise broken
        kinds = frozenset([item.kind for item in items])
        for fold in folds:
            fold.add(items, kinds)
        running_time = items[-1].running_time
    return _Prepared([fold.changes() for fold in folds], advanced(progress, rows, running_time))


def _cut(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _folded(database: ViewsStorage, member: Member, items: Sequence[Item]) -> Exception | None:
    """Fold items inside the transaction; what the view raised, if it cannot."""
    try:
        with database.savepoint():
            database.write(member.view, member.entry.generation, member.view.fold(items))
    except Exception as error:
        if database.is_hindered(error):
            raise
        return error
    return None


def _carefully(database: ViewsStorage, member: Member, rows: Sequence[Row], skips: frozenset[int]) -> Member:
    """Fold one atomic set after the other, up to the one that cannot be applied."""
    for _, atomic in atomic_sets(rows):
        entry = member.entry
        items, error = _decoded(atomic, entry.progress.running_time, skips)
        running_time = items[-1].running_time if items else entry.progress.running_time
        with database.transaction():
            failure: Exception | None = error
            if failure is None and items:
                failure = _folded(database, member, items)
            if failure is None:
                after = entry.at(advanced(entry.progress, atomic, running_time))
            else:
                after = replace(entry, state="degraded" if entry.readable else entry.state, error=_say(atomic, failure))
            database.advance(entry, after)
        member = Member(member.view, after)
        if failure is not None:
            break
    return member


def stands_before(error: str) -> int | None:
    """The position that a view cannot apply, out of the ``error`` of its entry."""
    found = _POSITION.match(error)
    return None if found is None else int(found[1])


def _say(atomic: Sequence[Row], failure: Exception) -> str:
    where = failure.position if isinstance(failure, CannotDecode) else atomic[0].position
    return f"position {where} ({atomic[0].type}): {type(failure).__name__}: {failure}"


def _decoded(rows: Sequence[Row], running_time: int, skips: frozenset[int]) -> tuple[list[Item], CannotDecode | None]:
    items: list[Item] = []
    for row in rows:
        if row.position in skips:
            continue
        try:
            items.append(decode_row(row, items[-1].running_time if items else running_time))
        except CannotDecode as error:
            return [], error
    return items, None
