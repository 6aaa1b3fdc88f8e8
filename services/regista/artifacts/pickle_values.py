"""Stand-ins for what a pickle would make: enough to follow names and joblib's arrays, never an object of its own."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = object
"""A str, int or bytes as they stand; a tuple, dict, :class:`Name`, :class:`Made`; or :data:`OPAQUE` for all else."""

OPAQUE = object()
MARK = object()

TUPLE_LIMIT = 64
DICT_LIMIT = 256

_DTYPE = re.compile(r"[<>|=]?([a-zA-Z])(\d+)")
_ARRAY_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE_NAMES = frozenset({("numpy", "dtype")})


@dataclass(frozen=True, slots=True)
class Name:
    """An import that was asked for, and not done; both parts None when they were computed by the pickle itself."""

    module: str | None
    name: str | None

    def __str__(self) -> str:
        return "?" if self.module is None else f"{self.module}.{self.name}"


@dataclass(slots=True)
class Made:
    """What calling ``maker`` would give."""

    maker: Value
    args: Value = OPAQUE
    state: Value = OPAQUE


@dataclass(frozen=True, slots=True)
class RawArray:
    """Bytes of an array that joblib writes into the middle of its pickle."""

    size: int
    padded: bool


class UnknownArray(Exception):
    """An array of joblib's whose length cannot be told: what follows it cannot be read."""


def joblib_array(value: Value) -> RawArray | Made | None:
    """Return what follows this object in a joblib file: raw bytes, a pickle of its own (the ``Made``), or None: nothing.

    After joblib's numpy_pickle.py, ``NumpyArrayWrapper.read_array``.
    """
    if not isinstance(value, Made) or not isinstance(value.maker, Name):
        return None
    if (value.maker.module, value.maker.name) != _ARRAY_WRAPPER:
        return None
    state = value.state
    if not isinstance(state, dict) or not isinstance(shape := state.get("shape"), tuple):
        raise UnknownArray
    if _holds_objects(dtype := state.get("dtype")):
        return value
    if not all(isinstance(length, int) and length >= 0 for length in shape):
        raise UnknownArray
    return RawArray(math.prod(shape) * _item_size(dtype), "numpy_array_alignment_bytes" in state)


def _code(dtype: Value) -> tuple[str, int]:
    if isinstance(dtype, Made) and isinstance(dtype.maker, Name) and isinstance(dtype.args, tuple) and dtype.args:
        maker, code = dtype.maker, dtype.args[0]
        if (maker.module, maker.name) in _DTYPE_NAMES and isinstance(code, str) and (found := _DTYPE.fullmatch(code)):
            return found[1], int(found[2])
    raise UnknownArray


def _item_size(dtype: Value) -> int:
    kind, length = _code(dtype)
    return length * 4 if kind == "U" else length


def _holds_objects(dtype: Value, depth: int = 0) -> bool:
    kind, _ = _code(dtype)
    if kind == "O" or depth > 8:
        return True
    state = dtype.state if isinstance(dtype, Made) else None
    fields = state[4] if isinstance(state, tuple) and len(state) > 4 else None
    if not isinstance(fields, dict):
        return False
    return any(isinstance(field, tuple) and _holds_objects(field[0], depth + 1) for field in fields.values() if field)
