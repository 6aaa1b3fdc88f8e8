"""The hashes that make tampering evident: one chain per stream, one running digest over the whole log.

Both cover lengths as well as bytes, so that no two different inputs are hashed alike. All hashes are 32 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

_LENGTH = Struct(">I")
_NUMBER = Struct(">Q")
EMPTY_DIGEST = bytes(32)
"""The running digest of a log without events."""


class Row(NamedTuple):
    """An event as it is stored, sent and exported: the same bytes everywhere.

    ``position`` strictly increases over the log (gaps allowed), ``sequence`` is contiguous from 1 in its stream,
    ``type`` is the CloudEvents type, ``value`` the Avro single-object encoding.
    """

    position: int
    stream: str
    sequence: int
    type: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """How far a reader has come: the last position, the events up to it, and the running digest over them."""

    position: int = 0
    count: int = 0
    digest: bytes = EMPTY_DIGEST

    def __str__(self) -> str:
        return f"{self.position}:{self.digest.hex()}"


def stream_hash(stream: str) -> bytes:
    """What the first event of a stream carries as ``previous_hash``."""
    return sha256(stream.encode()).digest()


def event_hash(stream: str, sequence: int, value: bytes) -> bytes:
    """The hash of one event: what the next of its stream carries, and what a write answers."""
    name = stream.encode()
    return sha256(b"".join((_LENGTH.pack(len(name)), name, _NUMBER.pack(sequence), value))).digest()


def advance(head: Head, row: Row) -> Head:
    """The head after one more row.

    Raises:
        ValueError: when the row's position is not behind the head's.
    """
    return advance_over(head, ((row.position, event_hash(row.stream, row.sequence, row.value)),))


def advance_over(head: Head, events: Iterable[tuple[int, bytes]]) -> Head:
    """The head after more events, each given by its position and its ``event_hash``.

    Raises:
        ValueError: when a position is not behind the one before it.
    """
    position, count, digest = head.position, head.count, head.digest
    pack = _NUMBER.pack
    for following, hash_ in events:
        if following <= position:
            msg = f"position {following} does not follow {position}"
            raise ValueError(msg)
        digest = sha256(digest + pack(following) + hash_).digest()
        position, count = following, count + 1
    return Head(position, count, digest)
