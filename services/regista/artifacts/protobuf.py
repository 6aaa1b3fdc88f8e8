"""Reading protocol buffers field by field from a file, without their schema compiled and without holding their payloads.

The wire format is that of protobuf.dev/programming-guides/encoding. Groups, long out of use, are refused.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIELD_LIMIT = 4_000_000
TEXT_LIMIT = 1 << 16
_FIXED = {FIXED64: 8, FIXED32: 4}


class BrokenMessage(Exception):
    """The bytes are no such message, or hold more than is followed."""


class Budget:
    """How many fields may be read of one file, over all its messages."""

    def __init__(self, fields: int = FIELD_LIMIT) -> None:
        self._left = fields

    def spend(self) -> None:
        """Count one field."""
        self._left -= 1
        if self._left < 0:
            raise BrokenMessage("it has more fields than are followed")


@dataclass(frozen=True, slots=True)
class Message:
    """The bytes of a file from ``start`` up to ``end``, read as fields."""

    file: BinaryIO
    start: int
    end: int
    budget: Budget

    @classmethod
    def of(cls, file: BinaryIO) -> Message:
        """Return the whole of a file as one message."""
        return cls(file, 0, file.seek(0, io.SEEK_END), Budget())

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    def fields(self) -> Iterator[tuple[int, int, int | Message]]:
        """Yield (number, wire type, value): the number itself for varints, else the span of the payload."""
        position = self.start
        while position < self.end:
            self.budget.spend()
            key, position = self._varint(position)
            number, wire = key >> 3, key & 7
            if number == 0:
                raise BrokenMessage("a field has no number")
            if wire == VARINT:
                value, position = self._varint(position)
                yield number, wire, value
                continue
            if wire == BYTES:
                length, position = self._varint(position)
            elif wire in _FIXED:
                length = _FIXED[wire]
            else:
                raise BrokenMessage(f"wire type {wire} is unknown")
            if length > self.end - position:
                raise BrokenMessage("a field is cut off")
            yield number, wire, Message(self.file, position, position + length, self.budget)
            position += length

    def varints(self) -> Iterator[int]:
        """Yield the numbers of a packed field."""
        position = self.start
        while position < self.end:
            value, position = self._varint(position)
            yield value

    def text(self) -> str:
        """Return the payload as text; at most :data:`TEXT_LIMIT` bytes."""
        try:
            return self.payload(TEXT_LIMIT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BrokenMessage("a text is not UTF-8") from error

    def payload(self, limit: int) -> bytes:
        """Return the payload, which must not be over ``limit``."""
        if self.size > limit:
            raise BrokenMessage("a field is larger than is read")
        return b"".join(self.chunks())

    def chunks(self, length: int = 1 << 20) -> Iterator[bytes]:
        """Yield the payload in pieces."""
        for position in range(self.start, self.end, length):
            self.file.seek(position)
            wanted = min(length, self.end - position)
            data = self.file.read(wanted)
            if len(data) != wanted:
                raise BrokenMessage("the file is cut off")
            yield data

    def _varint(self, position: int) -> tuple[int, int]:
        """Read a varint: unsigned, at most 64 bits; and the position behind it."""
        self.file.seek(position)
        data = self.file.read(min(10, self.end - position))
        value = 0
        for index, byte in enumerate(data):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, position + index + 1
        raise BrokenMessage("a number is cut off")


def signed(value: int) -> int:
    """Read an unsigned 64-bit varint as the signed number that it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value
