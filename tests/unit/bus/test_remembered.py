"""Which answer to a queue's commands came last, when their offsets alone do not tell."""

from __future__ import annotations

from itertools import permutations

import pytest

from regista.bus.commands.mark import Mark
from regista.bus.commands.remembered import _Answers
from regista.store.append import Taken


def mark(offset: int, time_ms: int) -> bytes:
    return Mark(offset, time_ms, bytes(32)).packed


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ([(0, mark(0, 5), 90), (1, mark(1, 5), 90), (2, mark(2, 6), 80)], Taken(3, mark(2, 6))),
        ([(4, mark(4, 10), 90), (0, mark(0, 20), 90), (1, mark(1, 20), 90)], Taken(2, mark(1, 20))),
        ([(4, None, 10), (9, None, 10), (7, None, 10)], Taken(10)),
        ([(9, None, 10), (0, mark(0, 20), 21), (1, mark(1, 20), 21)], Taken(2, mark(1, 20))),
        ([(4, mark(4, 10), 11), (5, None, 30), (6, None, 31)], Taken(7)),
        ([(4, mark(4, 10), 11), (5, b"of a later release", 30)], Taken(6)),
    ],
    ids=["one topic", "made anew", "without marks", "made anew since", "an earlier release again", "unknown marks"],
)
def test_the_answer_that_came_last_counts_in_whatever_order_they_are_read(
    told: list[tuple[int, bytes | None, int]], last: Taken
) -> None:
    for order in permutations(told):
        answers = _Answers()
        for each in order:
            answers.add(*each)
        assert answers.last() == last
