"""Tumbling windows: intervals of one width that begin at whole multiples of it since 1970, so that they never overlap.

A report belongs to the window in which its interval ended, as a whole: requests cannot be split. One that comes late
is added to the window it belongs to, as long as that is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

WIDTH = 10
"""Seconds."""
KEPT = timedelta(hours=1)


def window_of(moment: datetime) -> int:
    """The beginning of the window of a moment, in seconds since 1970."""
    return int(moment.timestamp()) // WIDTH * WIDTH


def begins(window: int) -> datetime:
    """When a window begins."""
    return datetime.fromtimestamp(window, UTC)


def oldest_kept(now: datetime) -> int:
    """The first window that is still kept."""
    return window_of(now - KEPT)
