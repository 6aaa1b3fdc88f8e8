"""Moments: a position, or a time that stands for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from regista.domain.errors import Malformed
from regista.projections.decoding import micros
from regista.projections.reader import Reader

MOMENTS = ("at", "since", "until", "from", "to")
"""The parameters that are moments."""
_MAX_DIGITS = 19
_LAST = "SELECT position, running_time FROM events_v1 WHERE position <= ? ORDER BY position DESC LIMIT 1"


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


def positions_named(arguments: Mapping[str, Any]) -> dict[str, int]:
    """The positions among the parameters that are moments: an answer about one has to know all up to it.

    Raises:
        Malformed: ``bad_moment``.
    """
    moments = {name: parse_moment(arguments[name], name) for name in MOMENTS if name in arguments}
    return {name: moment for name, moment in moments.items() if isinstance(moment, int)}


def position_at(reader: Reader, text: str, name: str = "at") -> int:
    """The position that a moment stands for: the last one whose running maximum of ``time`` is not later.

    0 when the time is before the first event. The running maximum never falls, so a binary search finds it. A position
    stands for itself: whether the log has come as far is for ``Queries.fresh`` to say, before the read.

    Raises:
        Malformed: ``bad_moment``.
    """
    moment = parse_moment(text, name)
    if isinstance(moment, int):
        return moment
    last = reader.row(_LAST, (2**63 - 1,))
    end = last[0] if last is not None else 0
    goal = micros(moment)
    low, high = 0, end
    while low < high:
        middle = (low + high + 1) // 2
        row = reader.row(_LAST, (middle,))
        if row is None or row[1] <= goal:
            low = middle
        else:
            high = row[0] - 1
    row = reader.row(_LAST, (low,))
    return row[0] if row is not None else 0
