"""Moments: a position, or a time that stands for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.domain.times import micros
from regista.projections.reader import Reader
from regista.wire.moments import parse_moment

MOMENTS = ("at", "since", "until", "from", "to")
"""The parameters that are moments."""
_LAST = "SELECT position, running_time FROM events_v1 WHERE position <= ? ORDER BY position DESC LIMIT 1"


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
