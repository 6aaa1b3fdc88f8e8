"""The version numbers of a model in their order, as an immutable collection.

Runs of a few hundred numbers: one more copies one run and the list of the runs, a search looks at some twenty numbers,
however many there are. Old collections stay valid.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import TypeAlias

from regista.domain.versions import Level, Precedence, VersionNumber

_RUN = 256
"""A run of more numbers is cut into two."""
_order = attrgetter("precedence")
_Run: TypeAlias = tuple[VersionNumber, ...]


class Numbers:
    """Version numbers by precedence; each once."""

    __slots__ = ("_runs",)

    def __init__(self, ordered: Iterable[VersionNumber] = ()) -> None:
        """Take numbers that are in order already."""
        whole = tuple(ordered)
        self._runs: tuple[_Run, ...] = tuple(whole[at : at + _RUN] for at in range(0, len(whole), _RUN))

    def add(self, number: VersionNumber) -> Numbers:
        """These numbers and one that is not among them."""
        added = Numbers()
        if not self._runs:
            added._runs = ((number,),)
            return added
        place = max(bisect_left(self._runs, number.precedence, key=_first) - 1, 0)
        run = self._runs[place]
        at = bisect_left(run, number.precedence, key=_order)
        run = (*run[:at], number, *run[at:])
        pieces = (run,) if len(run) <= _RUN else (run[: _RUN // 2], run[_RUN // 2 :])
        added._runs = (*self._runs[:place], *pieces, *self._runs[place + 1 :])
        return added

    def union(self, numbers: Sequence[VersionNumber]) -> Numbers:
        """These numbers and others that are not among them."""
        if len(numbers) <= 1:
            return self.add(numbers[0]) if numbers else self
        return Numbers(sorted(chain(self, numbers), key=_order))

    def below(self, number: VersionNumber) -> VersionNumber | None:
        """The highest that comes before a number; None where none does."""
        return self._before(number.precedence)

    def highest_beside(self, number: VersionNumber, level: Level) -> VersionNumber | None:
        """The highest that a bump of this level leads past: of all, of the same MAJOR, or of the same MAJOR.MINOR."""
        if level == "major":
            return self._runs[-1][-1] if self._runs else None
        line = (number.major,) if level == "minor" else (number.major, number.minor)
        # A pre-release without fields: before everything of the next line.
        end = (number.major + 1, 0, 0) if level == "minor" else (number.major, number.minor + 1, 0)
        found = self._before((*end, False, ()))
        return found if found is not None and (found.major, found.minor)[: len(line)] == line else None

    def _before(self, precedence: Precedence) -> VersionNumber | None:
        place = bisect_left(self._runs, precedence, key=_first) - 1
        if place < 0:
            return None
        run = self._runs[place]
        return run[bisect_left(run, precedence, key=_order) - 1]

    def __iter__(self) -> Iterator[VersionNumber]:
        return chain.from_iterable(self._runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs))


def _first(run: _Run) -> Precedence:
    return run[0].precedence
