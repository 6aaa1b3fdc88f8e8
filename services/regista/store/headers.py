"""The headers of an outcome as one value of a column: what came from Kafka may be any bytes, in any order, repeated.

Each is its name's length and name, a byte that says whether there is a value, its length and value; lengths are four
bytes, big endian.
"""

from __future__ import annotations

import struct

from regista.domain.errors import Damaged
from regista.store.append import Headers

_LENGTH = struct.Struct(">I")


def pack_headers(headers: Headers) -> bytes:
    """The one value."""
    parts = []
    for name, value in headers:
        # Names on Kafka are meant to be UTF-8, and nobody checks that they are.
        encoded = name.encode("utf-8", "surrogateescape")
        parts += [_LENGTH.pack(len(encoded)), encoded]
        parts += [b"\0"] if value is None else [b"\1", _LENGTH.pack(len(value)), value]
    return b"".join(parts)


def unpack_headers(packed: bytes) -> Headers:
    """The headers of a value made by ``pack_headers``.

    Raises:
        Damaged: it was not.
    """
    headers: list[tuple[str, bytes | None]] = []
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        taken = packed[at : at + size]
        at += size
        if len(taken) != size:
            raise Damaged("The headers of an outcome are cut off.")
        return taken

    while at < len(packed):
        name = take(*_LENGTH.unpack(take(4))).decode("utf-8", "surrogateescape")
        value = take(*_LENGTH.unpack(take(4))) if take(1) == b"\1" else None
        headers.append((name, value))
    return tuple(headers)
