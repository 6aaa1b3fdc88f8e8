"""A persistent map: every change gives a new map that shares nearly all of the old one.

A large base that nobody changes any more, and a small layer of changes on top. A change copies the layer only; when
the layer outgrows the square root of the base, both are merged into a new base. So a change in a map of n entries
costs about sqrt(n) steps, a look-up two, and old maps stay valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from math import isqrt
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_SMALLEST_LIMIT = 32


class PersistentMap(Mapping[K, V], Generic[K, V]):
    """An immutable mapping with ``set``. Keys are never removed: nothing in a registry is forgotten."""

    __slots__ = ("_base", "_layer", "_size")

    def __init__(self, base: dict[K, V] | None = None) -> None:
        """Take over ``base``, which the caller must not change any more."""
        self._base: dict[K, V] = {} if base is None else base
        self._layer: dict[K, V] = {}
        self._size = len(self._base)

    def set(self, key: K, value: V) -> PersistentMap[K, V]:
        """The map with this entry added or replaced."""
        changed: PersistentMap[K, V] = PersistentMap(self._base)
        changed._layer = {**self._layer, key: value}
        changed._size = self._size + (key not in self)
        if len(changed._layer) > max(_SMALLEST_LIMIT, isqrt(len(self._base))):
            changed._base = {**self._base, **changed._layer}
            changed._layer = {}
        return changed

    def to_dict(self) -> dict[K, V]:
        """A dictionary of the same entries, the caller's own."""
        return {**self._base, **self._layer}

    def __getitem__(self, key: K) -> V:
        return self._layer[key] if key in self._layer else self._base[key]

    def __contains__(self, key: object) -> bool:
        return key in self._layer or key in self._base

    def __iter__(self) -> Iterator[K]:
        return chain(self._base, (k for k in self._layer if k not in self._base))

    def __len__(self) -> int:
        return self._size
