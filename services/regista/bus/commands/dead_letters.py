"""Dead letters: what could not be read or decided as a command, as it came, and why.

Key, value and headers are the original's. Added are ``regista_source`` (topic/partition/offset) and its mark, ``regista_code`` and
``regista_error``; ``regista_absent`` names key or value where the original had none, and ``regista_truncated`` gives the
length of a value that was cut so that the letter fits.
"""

from __future__ import annotations

from regista.bus.events.envelope import Consumed
from regista.domain.errors import Internal, RegistaError
from regista.store.append import Headers, Outgoing

_ERROR = 2_000
_ROOM = 16 * 2**10
"""Bytes left for what a record needs beside its parts."""


def dead_letter(record: Consumed, answering: Headers, error: Exception, *, time_ms: int, max_bytes: int) -> Outgoing:
    """The letter about a record, which ``answering`` names; ``max_bytes`` is the largest that the topic takes."""
    code = error.code if isinstance(error, RegistaError) else Internal.default_code
    detail = error.detail if isinstance(error, RegistaError) else repr(error)
    said: list[tuple[str, bytes | None]] = [
        *answering,
        ("regista_code", code.encode()),
        ("regista_error", detail.encode("utf-8", "backslashreplace")[:_ERROR]),
    ]
    said += [
        ("regista_absent", name) for name, part in ((b"key", record.key), (b"value", record.value)) if part is None
    ]
    left = max_bytes - _ROOM - _ERROR - len(record.key or b"")
    original = _fitting(tuple(record.headers), left // 2)
    value = bytes(record.value or b"")
    left -= sum(len(name) + len(held or b"") for name, held in original)
    if len(value) > left:
        said.append(("regista_truncated", str(len(value)).encode()))
        value = value[: max(0, left)]
    return Outgoing("dead-letter", bytes(record.key or b""), value, (*original, *said), time_ms)


def _fitting(headers: Headers, left: int) -> Headers:
    """The first headers that fit."""
    kept = []
    for name, value in headers:
        left -= len(name.encode("utf-8", "surrogateescape")) + len(value or b"") + 16
        if left < 0:
            break
        kept.append((name, value))
    return tuple(kept)
