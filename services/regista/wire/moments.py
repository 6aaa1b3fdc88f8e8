"""Moments: a position, or a time that stands for one."""

from __future__ import annotations

from datetime import datetime

from regista.domain.errors import Malformed

_MAX_DIGITS = 19


def parse_moment(text: str, name: str = "at") -> int | datetime:
    """A position, or an aware time.

    Raises:
        Malformed: ``bad_moment``.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS and int(text) < 2**63:
        return int(text)
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that was not encoded arrives as a space
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Malformed(
            f"{name}={text[:60]!r} is neither a position nor a time with a zone",
            code="bad_moment",
            hint="Write a position (4711) or RFC 3339 with a zone (2026-05-01T12:00:00Z).",
        )
    return moment
