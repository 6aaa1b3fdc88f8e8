"""Times as the work database keeps them: whole microseconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Gives the time now, with its zone."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


def micros(moment: datetime) -> int:
    """A time as it is kept."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """A time that is kept."""
    return _EPOCH + micros * _MICROSECOND
