"""Times: what a clock is, and a time as whole microseconds since 1970, in which databases keep it exactly and in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Gives the time now, with its zone."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The time now, for whoever is not given another clock. No rule asks it: decisions are given their time."""
    return datetime.now(UTC)


def micros(moment: datetime) -> int:
    """A time, with its zone, as microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The time of so many microseconds since 1970, in UTC."""
    return EPOCH + micros * _MICROSECOND
