"""What the last record that was taken in from a queue is known by: an offset alone says nothing of a topic made anew."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Protocol, Self

from regista.bus.events.envelope import Consumed

MARK = "regista_source_mark"
"""Header of a result or a dead letter: the mark of the order that it answers, in hexadecimal digits."""
LOG_APPEND_TIME = 1
"""``timestamp_type`` of a record whose time is the broker's, not its sender's."""
_PACKED = Struct(">qq32s")


class Dated(Consumed, Protocol):
    """A record with its place and time."""

    @property
    def offset(self) -> int:
        """Its offset."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970."""

    @property
    def timestamp_type(self) -> int:
        """Whose time that is: ``LOG_APPEND_TIME``, or its sender's."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The record at an offset. ``digest`` covers timestamp, key and value; ``timestamp_ms`` is the record's own."""

    offset: int
    timestamp_ms: int
    digest: bytes

    @classmethod
    def of(cls, record: Dated) -> Self:
        """That of a record."""
        covered = sha256(record.timestamp.to_bytes(8, "big", signed=True))
        for part in (record.key, record.value):
            # A part that is missing is not one that is empty.
            covered.update(b"\0" if part is None else b"\1" + len(part).to_bytes(8, "big") + bytes(part))
        return cls(record.offset, record.timestamp, covered.digest())

    @classmethod
    def unpacked(cls, packed: bytes | None) -> Self | None:
        """What was packed; None where there is none, or one that this release does not know."""
        return cls(*_PACKED.unpack(packed)) if packed is not None and len(packed) == _PACKED.size else None

    @property
    def packed(self) -> bytes:
        """As the store keeps it."""
        return _PACKED.pack(self.offset, self.timestamp_ms, self.digest)


def parse_mark(header: bytes | None) -> bytes | None:
    """The packed mark of a header; None where there is none, or nothing that this release knows."""
    try:
        packed = bytes.fromhex((header or b"").decode("ascii"))
    except ValueError:
        return None
    return packed if Mark.unpacked(packed) is not None else None
