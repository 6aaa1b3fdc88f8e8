"""How many deliveries may be under way: for each subscription, and in all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """``each``: at most so many for one subscription; ``shared``: so many in all, beside the first of each."""

    each: int = 8
    shared: int = 64


class Room:
    """Counts what is under way. Each subscription has one place of its own, so that no other ever takes it the last."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._under_way: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """How many are under way."""
        return self._under_way.total()

    def free(self, subscription: str) -> int:
        """How many more may begin for a subscription."""
        own = self._under_way[subscription]
        shared = self._bounds.shared - sum(count - 1 for count in self._under_way.values() if count)
        first = 0 if own else 1
        return max(0, first + min(self._bounds.each - max(own, 1), max(shared, 0)))

    def is_full(self, subscription: str) -> bool:
        """Whether a subscription has all that it may ever have."""
        return self._under_way[subscription] >= self._bounds.each

    def copy(self) -> Room:
        """The same counts, counted on their own."""
        other = Room(self._bounds)
        other._under_way = self._under_way.copy()
        return other

    def enter(self, subscription: str) -> None:
        """One more begins."""
        self._under_way[subscription] += 1

    def leave(self, subscription: str) -> None:
        """One has ended."""
        self._under_way[subscription] -= 1
        if not self._under_way[subscription]:
            del self._under_way[subscription]
