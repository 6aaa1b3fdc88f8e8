"""When a failed delivery is tried again, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from regista.notifier.room import Bounds, Room
from regista.notifier.schedule import DELAYS, JITTER, LONGEST_WISH, Schedule
from regista.outbound.client import retry_after

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def middle() -> float:
    return 0.5


def test_delays_grow_and_end_after_about_three_days() -> None:
    assert list(DELAYS) == sorted(DELAYS)
    assert 2.5 * 86_400 < sum(DELAYS) < 3.5 * 86_400
    times = [Schedule().following(failures, NOW, middle) for failures in range(1, len(DELAYS) + 2)]
    assert times == [*(NOW + timedelta(seconds=delay) for delay in DELAYS), None]


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 1 - JITTER), (0.5, 1.0), (1.0, 1 + JITTER)])
def test_what_failed_together_is_not_repeated_together(chance: float, factor: float) -> None:
    assert Schedule((100.0,)).following(1, NOW, lambda: chance) == NOW + timedelta(seconds=100 * factor)


@pytest.mark.parametrize(("wish", "seconds"), [(None, 5.0), (1.0, 5.0), (60.0, 60.0), (1e9, LONGEST_WISH), (-1.0, 5.0)])
def test_a_wish_of_the_receiver_is_kept_where_it_is_later(wish: float | None, seconds: float) -> None:
    assert Schedule().following(1, NOW, middle, wish) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Mon, 04 May 2026 12:01:00 GMT", 60.0),
        ("Mon, 04 May 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_each_subscription_has_a_place_that_no_other_takes() -> None:
    room = Room(Bounds(each=3, shared=2))
    assert room.free("greedy") == 3
    for _ in range(3):
        room.enter("greedy")
    assert (room.free("greedy"), room.is_full("greedy")) == (0, True)
    assert room.free("other") == 1, "what is shared is taken, its own place is not"
    room.enter("other")
    assert (room.free("other"), room.is_full("other")) == (0, False)
    room.leave("greedy")
    assert (room.free("other"), room.under_way) == (1, 3)
