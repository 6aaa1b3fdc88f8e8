"""Latencies as counts on one grid, so that histograms of any reporters and intervals can be added exactly.

The grid's bounds are powers of 2**(1/8): neighbours differ by 9.1 %. A bucket of a report becomes the narrowest range of
the grid that encloses it; ranges are kept as they are, and never split. So adding is adding integers: associative,
commutative, and without loss.

A quantile is known to lie in the range that holds its rank: ``Quantile.low`` and ``high`` are that range, in which
``value`` is found as if latencies were spread evenly (as Prometheus' ``histogram_quantile``). With a report's bounds on the
grid its relative error is below 9.1 %; with other bounds it is that of the reporter's buckets, plus 9.1 % at either end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor, inf, log2
from typing import TypeAlias

from regista.wire.inference import LatencyCounts

PER_OCTAVE = 8
LOWEST, HIGHEST = -20 * PER_OCTAVE, 12 * PER_OCTAVE
"""Indices of the first and the last bound: a microsecond, and more than an hour."""
_HAIR = 1e-9
Range: TypeAlias = tuple[int, int]
"""Indices of the bounds below and above; ``LOWEST - 1`` is 0, ``HIGHEST + 1`` is infinity."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile in seconds, and the range that it certainly lies in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by range. Immutable: adding makes a new one."""

    counts: Mapping[Range, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many latencies it counts."""
        return sum(self.counts.values())

    def __add__(self, other: Histogram) -> Histogram:
        counts = dict(self.counts)
        for at, count in other.counts.items():
            counts[at] = counts.get(at, 0) + count
        return Histogram(counts)

    def quantile(self, share: float) -> Quantile | None:
        """The quantile of a share from 0 to 1; None without counts."""
        return self.ranked(share * self.total)

    def ranked(self, rank: float) -> Quantile | None:
        """The latency that ``rank`` latencies do not exceed; ranks beyond the ends are the ends. None without counts."""
        total = self.total
        if total == 0:
            return None
        rank = min(max(rank, 0.0), total)
        low = bound(_reach(rank, ((low, count) for (low, _), count in self.counts.items())))
        high = bound(_reach(rank, ((high, count) for (_, high), count in self.counts.items())))
        return Quantile(min(max(self._even(rank), low), high), low, high)

    def _even(self, rank: float) -> float:
        """Where ``rank`` latencies lie below, as if they were spread evenly over their ranges."""
        turns: dict[float, float] = {}
        for (low, high), count in self.counts.items():
            left, right = bound(low), bound(min(high, HIGHEST))
            dense = count / (right - left) if high <= HIGHEST else 0.0
            turns[left] = turns.get(left, 0.0) + dense
            turns[right] = turns.get(right, 0.0) - dense
        below, density, at = 0.0, 0.0, 0.0
        for edge in sorted(turns):
            here = density * (edge - at)
            if here > 0 and below + here >= rank - _HAIR:
                return at + (rank - below) / density
            below, density, at = below + here, density + turns[edge], edge
        return at


def of_report(latency: LatencyCounts) -> Histogram:
    """The histogram of what a report counted."""
    counts: dict[Range, int] = {}
    bounds = (0.0, *latency.bounds, inf)
    for low, high, count in zip(bounds, bounds[1:], latency.counts, strict=False):
        if count:
            at = _enclosing(low, high)
            counts[at] = counts.get(at, 0) + count
    return Histogram(counts)


def bound(index: int) -> float:
    """The bound of an index, in seconds."""
    if index < LOWEST:
        return 0.0
    return inf if index > HIGHEST else 2.0 ** (index / PER_OCTAVE)


def grid(low: float, high: float) -> tuple[float, ...]:
    """The grid's bounds from the last that is not above ``low`` to the first that is not below ``high``."""
    first, last = _enclosing(low, high)
    return tuple(bound(i) for i in range(max(first, LOWEST), min(last, HIGHEST) + 1))


def _enclosing(low: float, high: float) -> Range:
    """The narrowest range of the grid that holds ``(low, high]``; a bound that is the grid's stays itself."""
    below = floor(log2(low) * PER_OCTAVE + _HAIR) if low > 0 else LOWEST - 1
    above = ceil(log2(high) * PER_OCTAVE - _HAIR) if 0 < high < inf else HIGHEST + 1 if high == inf else LOWEST
    return min(max(below, LOWEST - 1), HIGHEST), max(min(above, HIGHEST + 1), LOWEST)


def _reach(rank: float, ends: Iterable[tuple[int, int]]) -> int:
    """The first end at which at least ``rank`` counts have ended."""
    gathered, end = 0, LOWEST - 1
    for end, count in sorted(ends):
        gathered += count
        if gathered >= rank - _HAIR:
            return end
    return end
