"""One byte string for one set of values: what the digest of data in memory is taken of.

Every value is written with its kind and length, so that no two different sets are written alike. Numbers are little
endian, every NaN is the same, text is UTF-8. The form is versioned by ``MAGIC``; a digest is comparable with others of
the same form only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from struct import Struct
from typing import Any, Protocol
from uuid import UUID

from regista.domain.errors import Invalid

MAGIC = b"regista-data-1\0"
_COUNT = Struct("<Q")
_FLOAT = Struct("<d")
_NULL = b"0"
_BATCH = 16_384


class Hash(Protocol):
    """What ``hashlib`` gives."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""


def new() -> Any:  # noqa: ANN401 - hashlib's type has no public name
    """A hash at the start of the form."""
    return hashlib.sha256(MAGIC)


def put_count(into: Hash, count: int) -> None:
    """Write a number of things that follow."""
    into.update(_COUNT.pack(count))


def put_text(into: Hash, text: str) -> None:
    """Write a name or a type."""
    data = text.encode("utf-8", "surrogatepass")
    into.update(_COUNT.pack(len(data)) + data)


def put_values(into: Hash, values: Iterable[Any], where: str) -> None:
    """Write values of any kind, one by one.

    Raises:
        Invalid: ``data_unknown``, for a kind that has no form here; ``where`` names its column.
    """
    iterator = iter(values)
    while batch := list(islice(iterator, _BATCH)):
        into.update(b"".join([encode(value, where) for value in batch]))


def encode(value: Any, where: str) -> bytes:  # noqa: ANN401 - any value
    """One value. What stands for a missing one (None, NaN, NaT, NA) is written alike."""
    kind = type(value)
    if kind is str:
        return _sized(b"s", value.encode("utf-8", "surrogatepass"))
    if value is None:
        return _NULL
    if kind is bool:
        return b"T" if value else b"F"
    if kind is int:
        return _sized(b"i", str(value).encode())
    if kind is float:
        return _NULL if math.isnan(value) else b"f" + _FLOAT.pack(value)
    return _encode_rare(value, where)


def _encode_rare(value: Any, where: str) -> bytes:  # noqa: ANN401 - any value
    match value:
        case bytes() | bytearray() | memoryview():
            return _sized(b"y", bytes(value))
        case Mapping():
            items = sorted((encode(key, where), encode(item, where)) for key, item in value.items())
            return b"d" + _COUNT.pack(len(items)) + b"".join(key + item for key, item in items)
        case list() | tuple():
            return b"l" + _COUNT.pack(len(value)) + b"".join(encode(item, where) for item in value)
        case set() | frozenset():
            return b"e" + _COUNT.pack(len(value)) + b"".join(sorted(encode(item, where) for item in value))
    if _is_missing(value):
        return _NULL
    if isinstance(value, datetime | date | time):
        return _sized(b"t", value.isoformat().encode())
    if isinstance(value, timedelta | Decimal | Fraction | UUID):
        return _sized(b"x", f"{type(value).__name__} {value}".encode())
    if callable(plain := getattr(value, "tolist", None)):
        return encode(plain(), where)
    if isinstance(value, str | bool | int | float):  # subclasses of the plain types
        base = next(kind for kind in (str, bool, int, float) if isinstance(value, kind))
        return encode(base(value), where)
    raise Invalid(
        f"{where}: values of {type(value).__module__}.{type(value).__qualname__} have no digest",
        code="data_unknown",
        hint="Give the file the data came from, or digest=… or version=… that names them.",
    )


def _is_missing(value: Any) -> bool:  # noqa: ANN401 - any value
    """NaT and NA: neither is equal to itself, and NA will not even say so."""
    return type(value).__name__ in {"NaTType", "NAType"}


def _sized(kind: bytes, data: bytes) -> bytes:
    return kind + _COUNT.pack(len(data)) + data
