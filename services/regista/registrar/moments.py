"""The position that a moment stands for, told by the log itself: the registrar has no views to ask."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from regista.domain.errors import BeyondLog
from regista.domain.times import micros
from regista.schemas.codec import decode_stamp
from regista.store.log import LogReader
from regista.wire.moments import parse_moment

_CHUNK: Final = 5_000


def position_at(log: LogReader, text: str) -> int:
    """The last position whose running maximum of ``time`` is not later; a position stands for itself. Blocks.

    0 when the time is before the first event. A time is found by reading the log from its start up to it: nothing orders
    times, so an earlier event may be later.

    Raises:
        Malformed: ``bad_moment``.
        BeyondLog: a position that no event has reached yet.
    """
    moment = parse_moment(text)
    if isinstance(moment, datetime):
        return _before(log, micros(moment))
    end = log.max_position()
    if moment > end:
        raise BeyondLog(
            f"at={moment} is beyond the end of the log, {end}", hint="Name a position that a write answered, or a time."
        )
    return moment


def _before(log: LogReader, time: int) -> int:
    position = 0
    while rows := log.read(position + 1, _CHUNK):
        for row in rows:
            if decode_stamp(row.value)["time"] > time:
                return position
            position = row.position
    return position
