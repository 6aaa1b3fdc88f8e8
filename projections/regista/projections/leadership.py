"""Who projects: one at a time, the others stand by.

Peace comes from a lock that dies with its process. Where a process lives on but does nothing (stopped, cut off), its
``beat`` no longer rises, and after ``STALE`` seconds another takes its place without the lock. Time is measured by
whoever looks, so that no two clocks are compared. None of it is needed for correctness: the compare-and-set on the
offsets refuses whatever a displaced projector still tries to write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import monotonic
from uuid import uuid4

from regista.projections.desk import Desk
from regista.projections.skips import Skip

BEAT = 1.0
"""Seconds between two beats."""
STALE = 10.0
"""Seconds without a beat after which a projector counts as gone."""
NOBODY = ""

_READ = "SELECT holder, beat, state FROM projector WHERE id = 1"
_CLAIM = (
    "INSERT INTO projector (id, holder, beat, state) VALUES (1, ?, 1, ?) ON CONFLICT (id) DO UPDATE SET "
    "holder = excluded.holder, beat = projector.beat + 1, state = excluded.state "
    "WHERE projector.holder = ? AND projector.beat = ? RETURNING beat"
)
_BEAT = "UPDATE projector SET beat = beat + 1, state = ? WHERE id = 1 AND holder = ? RETURNING beat"
_RELEASE = "UPDATE projector SET holder = '', beat = beat + 1 WHERE id = 1 AND holder = ?"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a projector says of itself. ``error`` is why nothing moves at all, ``hint`` what to do about that."""

    error: str | None = None
    rebuilding: bool = False
    skips: tuple[Skip, ...] = ()
    hint: str | None = None

    def text(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, text: str) -> Condition:
        """What a stored text says; a release that says more is understood as far as possible."""
        found = json.loads(text)
        skips = tuple(Skip(**skip) for skip in found.get("skips", ()))
        return cls(found.get("error"), found.get("rebuilding", False), skips, found.get("hint"))


@dataclass(frozen=True, slots=True)
class Leader:
    """The row: who projects (``NOBODY``: the last one ended in order), its beat, and what it says of itself."""

    holder: str
    beat: int
    condition: Condition


class Observed:
    """Looks at the leader again and again, and knows for how long it has shown no sign of life."""

    def __init__(self, desk: Desk, clock: Callable[[], float] = monotonic) -> None:
        self._desk = desk
        self._clock = clock
        self._since = clock()
        self.leader: Leader | None = None

    def look(self) -> Leader | None:
        """The leader as it is written now; None where nobody ever projected."""
        rows = self._desk.execute(_READ)
        found = None if not rows else Leader(rows[0][0], rows[0][1], Condition.of(rows[0][2]))
        if found is None or self.leader is None or (found.holder, found.beat) != (self.leader.holder, self.leader.beat):
            self._since = self._clock()
        self.leader = found
        return found

    @property
    def is_alive(self) -> bool:
        """Whether somebody projects, as far as the looks so far tell."""
        return self.leader is not None and self.leader.holder != NOBODY and self._clock() - self._since < STALE


class Leadership:
    """One projector's claim to be the one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.id = str(uuid4())

    def claim(self, observed: Observed, condition: Condition) -> bool:
        """Become the one who projects: the place is free, or whoever holds it has shown no life for long."""
        before = observed.look()
        if not self._desk.try_lead() and observed.is_alive:
            return False
        holder, beat = (before.holder, before.beat) if before is not None else (NOBODY, 0)
        if self._write(_CLAIM, self.id, condition.text(), holder, beat):
            return True
        self._desk.stop_leading()
        return False

    def beat(self, condition: Condition) -> bool:
        """Show life. False: another has taken the place."""
        if self._write(_BEAT, condition.text(), self.id):
            self._desk.try_lead()
            return True
        self._desk.stop_leading()
        return False

    def release(self) -> None:
        """Leave the place to another at once."""
        self._write(_RELEASE, self.id)
        self._desk.stop_leading()

    def _write(self, sql: str, *parameters: str | int) -> bool:
        return bool(self._desk.execute(sql, parameters))
