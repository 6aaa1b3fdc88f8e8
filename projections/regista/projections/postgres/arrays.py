"""Columns of values as arrays in PostgreSQL's binary form: one parameter each, however many rows there are.

``unnest`` makes rows of them again, so that a statement is prepared once for all sizes. The driver's own way to dump a
list takes ten times as long. (PostgreSQL, array_send: dimensions, whether nulls occur, type, length and lower bound,
then the elements, each with its length in front.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from struct import Struct
from typing import Any, ClassVar

from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = Struct(">iiIii").pack
_LENGTH = Struct(">i").pack
_INTEGER = Struct(">iq").pack
_NULL = _LENGTH(-1)


class Array:
    """The values of one column."""

    sql: ClassVar[str]
    oid: ClassVar[int]
    element: ClassVar[int]

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def body(self) -> bytes:
        """The elements."""
        raise NotImplementedError

    def encoded(self) -> bytes:
        """The array."""
        has_null = None in self.values
        return _HEADER(1 if self.values else 0, has_null, self.element, len(self.values), 1) + self.body()


class IntegerArray(Array):
    """Numbers of 64 bits."""

    sql, oid, element = "bigint[]", 1016, 20

    def body(self) -> bytes:
        """As ``Array.body``."""
        if None in self.values:
            return b"".join(_NULL if value is None else _INTEGER(8, value) for value in self.values)
        return b"".join(map(_INTEGER, repeat(8), self.values))


class BytesArray(Array):
    """Byte strings."""

    sql, oid, element = "bytea[]", 1001, 17

    def parts(self) -> Iterable[bytes | None]:
        """The elements without their lengths."""
        return self.values

    def body(self) -> bytes:
        """As ``Array.body``."""
        return b"".join(
            chain.from_iterable((_NULL,) if part is None else (_LENGTH(len(part)), part) for part in self.parts())
        )


class TextArray(BytesArray):
    """Texts."""

    sql, oid, element = "text[]", 1009, 25

    def parts(self) -> Iterable[bytes | None]:
        """As ``BytesArray.parts``."""
        return (None if value is None else value.encode() for value in self.values)


ARRAYS: dict[type[Array], type[Any]] = {TextArray: str, IntegerArray: int, BytesArray: bytes}
OF = {kind: array for array, kind in ARRAYS.items()}


class ArrayDumper(Dumper):
    """Hands an array over as it is."""

    format = Format.BINARY

    @classmethod
    def of(cls, kind: type[Array]) -> type[ArrayDumper]:
        """The dumper of one kind."""
        return type(f"{kind.__name__}Dumper", (cls,), {"oid": kind.oid})

    def dump(self, obj: Array) -> bytes:
        """The array's bytes."""
        return obj.encoded()
