"""The transactional core of whatever follows the log with effects: known or taken, once, and the place moves with it.

What is recorded and how far the log was taken stand in one transaction, so a crash between two steps loses and doubles
nothing. What is done outside comes later, from what was recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Protocol

from sqlalchemy import Connection

from regista.domain.chain import Row
from regista.domain.errors import RegistaError
from regista.projections.feed import START, Mark
from regista.work import cursors
from regista.work.cursors import Cursor
from regista.work.database import Component, Work
from regista.work.logged import Logged, decoded

logger = logging.getLogger("regista.work")


class Overtaken(RegistaError):
    """Another process works for this name by now: what this one had in hand is undone."""

    status = 503
    default_code = "overtaken"


class Effects(Protocol):
    """What follows from events. All but ``taken`` run inside the transaction that moves the cursor, in a thread."""

    @property
    def name(self) -> str:
        """The name of its cursor, such as ``deployer``."""

    @property
    def component(self) -> Component:
        """Its tables."""

    def types(self, connection: Connection) -> frozenset[str] | None:
        """The types of event that it looks at, as of what it knows; None: all. Rows among which there is none are passed over."""

    def fold(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Know what the events say, and cause nothing: what was before the first start, and what was imported."""

    def take(self, connection: Connection, events: Sequence[Logged]) -> bool:
        """Know what the events say and record what is to be done, keyed by position; whether there is anything."""

    def taken(self) -> None:
        """Something was recorded and is committed: called on the event loop, to wake whoever does it."""

    def reset(self, connection: Connection) -> None:
        """Forget what is known of the log, and what was still to be done: it is followed anew, or another one is."""


@dataclass(frozen=True, slots=True)
class Written:
    """Whether there is something to do because of a step, and the types that are looked at behind it."""

    is_loud: bool
    types: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Step:
    """``write`` belongs into a transaction; ``committed`` is told what came of it, after that."""

    write: Callable[[Connection], Written]
    committed: Callable[[Written], None]


class Taking:
    """Takes rows for one ``Effects``, exactly once each. ``claim`` comes first; belongs to one event loop."""

    def __init__(self, work: Work, effects: Effects) -> None:
        self._work = work
        self._effects = effects
        self._cursor: Cursor | None = None
        self._passed: Mark | None = None
        self._types: frozenset[str] | None = None
        work.migrate(effects.component)

    @property
    def name(self) -> str:
        """Of the cursor."""
        return self._effects.name

    @property
    def mark(self) -> Mark:
        """The last row taken or passed over."""
        if self._cursor is None:
            return START
        return self._passed or self._cursor.mark

    @property
    def effects_from(self) -> int:
        """The first position whose events have effects; 0 before ``claim``."""
        return 0 if self._cursor is None else self._cursor.effects_from

    @property
    def epoch(self) -> str:
        """What names this claim, and no other; empty without one."""
        return "" if self._cursor is None else self._cursor.epoch

    @property
    def is_claimed(self) -> bool:
        """Whether this was the newest to claim, as far as it knows."""
        return self._cursor is not None

    async def claim(self, log_id: str, newest: int, start: int | None = None) -> None:
        """Become the one that takes: whoever did before finds out at its next step.

        Without a stored place, or with that of another log, effects begin behind ``newest``: all before is only known.
        ``start`` is where somebody says that they begin. It is recorded, and counts once: the same start given again
        goes on from where it was.

        Raises:
            Unavailable: ``work_unavailable``.
        """
        self.release()
        self._cursor, self._types = await self._work.run(
            lambda connection: (self._claim(connection, log_id, newest, start), self._effects.types(connection))
        )

    async def knows(self, log_id: str) -> bool:
        """Whether it stands in the database from where on events of a log have effects, whoever wrote it there.

        Raises:
            Unavailable: ``work_unavailable``.
        """
        there = await self._work.run(lambda connection: cursors.read(connection, self.name))
        return there is not None and there.log_id == log_id

    async def begin_anew(self, log_id: str, newest: int, why: str) -> None:
        """Forget what is known, and know the log anew, without effects up to ``newest``.

        Raises:
            Unavailable: ``work_unavailable``.
            Overtaken: another one works by now.
        """

        def begin(connection: Connection) -> tuple[Cursor, frozenset[str] | None]:
            self.check(connection)
            return self._begin(connection, log_id, newest + 1, why), self._effects.types(connection)

        (self._cursor, self._types), self._passed = await self._work.run(begin), None

    async def renew(self, rows: Sequence[Row]) -> None:
        """Learn whether these rows were taken, where the answer to that was lost. Nobody is replaced by it.

        Raises:
            Overtaken: another one works by now, or the database is of before: what follows has to be read from there.
            Unavailable: ``work_unavailable``.
        """
        cursor = self._cursor
        there, types = await self._work.run(lambda c: (cursors.read(c, self.name), self._effects.types(c)))
        if cursor is None or there is None or replace(there, mark=cursor.mark) != cursor:
            raise _overtaken(self.name)
        if there.mark not in (cursor.mark, *map(Mark.of, rows[-1:])):
            raise _overtaken(self.name)
        self._cursor, self._passed, self._types = there, None, types

    def release(self) -> None:
        """Take nothing any more until the next ``claim``."""
        self._cursor = self._passed = None

    def check(self, connection: Connection) -> None:
        """Inside a transaction: nothing, when this is the one that works; and it is until the transaction has ended.

        Raises:
            Overtaken: another one works by now.
        """
        there = None if self._cursor is None else cursors.read(connection, self.name, lock=True)
        if self._cursor is None or there is None or there.epoch != self._cursor.epoch:
            raise _overtaken(self.name)

    async def take(self, rows: Sequence[Row]) -> None:
        """Take rows in the order of position; those up to the cursor are left out. All or none of them are taken.

        Raises:
            Overtaken: another one took meanwhile: ``claim`` first.
            Damaged: a value cannot be read.
            Unavailable: ``work_unavailable``: whether they were taken is not known; ``claim`` first.
            Exception: what the effects raise; nothing was taken.
        """
        await take_together(self._work, (self,), rows)

    def pass_over(self, rows: Sequence[Row]) -> bool:
        """Whether none of the rows behind the mark concerns the effects: the mark is behind them then.

        Nothing is written. ``store_mark`` makes it known; after a crash before that they are passed over once more.

        Raises:
            Overtaken: there was no ``claim``.
        """
        if self._cursor is None:
            raise _overtaken(self.name)
        if self._types is None or any(row.type in self._types for row in self._following(rows)):
            return False
        self._passed = Mark.of(rows[-1])
        return True

    @property
    def is_ahead(self) -> bool:
        """Whether rows were passed over that the database does not know of."""
        return self._passed is not None

    async def store_mark(self) -> None:
        """Write down how far rows were passed over.

        Raises:
            Overtaken: another one works by now.
            Unavailable: ``work_unavailable``: whether it was written is not known; ``claim`` first.
        """
        cursor, passed = self._cursor, self._passed
        if cursor is None or passed is None:
            return
        moved = replace(cursor, mark=passed)
        await self._work.run(lambda connection: self._move(connection, cursor, moved))
        self._cursor, self._passed = moved, None

    def step(self, rows: Sequence[Row], decode: Callable[[Row, str], Logged]) -> Step | None:
        """What taking rows comes to; None where there is nothing to take.

        Raises:
            Overtaken, Damaged: as ``take``.
        """
        cursor = self._cursor
        if cursor is None:
            raise _overtaken(self.name)
        following = self._following(rows)
        if not following:
            return None
        events = [decode(row, cursor.log_id) for row in following]
        moved = replace(cursor, mark=Mark.of(following[-1]))

        def write(connection: Connection) -> Written:
            if cursors.read(connection, self.name, lock=True) != cursor:
                raise _overtaken(self.name)
            loud = self._pass_on(connection, events, cursor.effects_from)
            self._move(connection, cursor, moved)
            return Written(loud, self._effects.types(connection))

        def committed(written: Written) -> None:
            self._cursor, self._passed, self._types = moved, None, written.types
            if written.is_loud:
                self._effects.taken()

        return Step(write, committed)

    def _following(self, rows: Sequence[Row]) -> list[Row]:
        behind = self.mark.position
        return [row for row in rows if row.position > behind]

    def _pass_on(self, connection: Connection, events: Sequence[Logged], effects_from: int) -> bool:
        """Whether there is something to do because of them."""
        loud = False
        for silent, some in groupby(events, lambda e: e.position < effects_from or e.identity == "import"):
            if silent:
                self._effects.fold(connection, list(some))
            else:
                loud |= self._effects.take(connection, list(some))
        return loud

    def _claim(self, connection: Connection, log_id: str, newest: int, start: int | None) -> Cursor:
        there = cursors.read(connection, self.name, lock=True)
        if start is not None and not cursors.was_told(connection, self.name, log_id, start):
            return self._begin(connection, log_id, start, "told")
        if there is None:
            return self._begin(connection, log_id, newest + 1, "first")
        if there.log_id != log_id:
            logger.warning(
                "%s followed the log %s; this is %s, which is known anew: effects begin behind position %d",
                self.name, there.log_id, log_id, newest,
            )  # fmt: skip
            return self._begin(connection, log_id, newest + 1, "another log")
        return cursors.claim(connection, self.name, there)

    def _begin(self, connection: Connection, log_id: str, effects_from: int, why: str) -> Cursor:
        self._effects.reset(connection)
        return cursors.begin(connection, self.name, log_id, effects_from, why)

    def _move(self, connection: Connection, cursor: Cursor, moved: Cursor) -> None:
        if not cursors.move(connection, self.name, cursor, moved):
            raise _overtaken(self.name)


async def take_together(work: Work, takings: Iterable[Taking], rows: Sequence[Row]) -> None:
    """Let several take the same rows, in one transaction: one commit costs as much as one of them alone.

    Raises:
        Overtaken, Damaged, Unavailable, Exception: as ``Taking.take``; none of them took anything.
    """
    decode = lru_cache(maxsize=None)(decoded)
    steps = [step for taking in takings if (step := taking.step(rows, decode)) is not None]
    if not steps:
        return
    written = await work.run(lambda connection: [step.write(connection) for step in steps])
    for step, result in zip(steps, written, strict=True):
        step.committed(result)


def _overtaken(name: str) -> Overtaken:
    return Overtaken(
        f"another process works as {name} by now",
        hint="This one stands by. One of them is enough.",
    )
