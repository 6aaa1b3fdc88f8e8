"""Numbers in their order, however they came in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regista.domain.ordered import Numbers
from regista.domain.versions import Level, VersionNumber

small = st.integers(0, 3)
candidates = st.one_of(st.just(()), st.tuples(st.just("rc"), small))
numbers = st.builds(VersionNumber, small, small, small, candidates)
LEVELS: dict[Level, int] = {"major": 0, "minor": 1, "patch": 2}


def rank(number: VersionNumber) -> object:
    return number.precedence


def parts(number: VersionNumber) -> tuple[int, int, int]:
    return number.major, number.minor, number.patch


@given(st.lists(numbers, unique=True, max_size=40), numbers, st.sampled_from(sorted(LEVELS)))
def test_neighbours_are_those_of_a_sorted_list(some: list[VersionNumber], asked: VersionNumber, level: Level) -> None:
    ordered = Numbers()
    for number in some:
        ordered = ordered.add(number)
    assert list(ordered) == sorted(some) == list(Numbers(sorted(some)))
    assert list(Numbers(sorted(some[::2])).union(some[1::2])) == list(ordered)
    assert ordered.below(asked) == max((n for n in some if n < asked), default=None)
    kept = LEVELS[level]
    line = [number for number in some if parts(number)[:kept] == parts(asked)[:kept]]
    assert ordered.highest_beside(asked, level) == max(line, default=None)


def test_long_runs_are_cut_and_stay_in_order_from_either_end() -> None:
    everything = [VersionNumber(1, minor, 0) for minor in range(2_000)]
    for some in (everything, everything[::-1], everything[::2] + everything[1::2]):
        ordered = Numbers()
        for number in some:
            before, ordered = ordered, ordered.add(number)
            assert len(before) + 1 == len(ordered)
        assert list(ordered) == everything
        assert max(map(len, ordered._runs)) <= 256
        assert ordered.below(VersionNumber(1, 1_000, 0)) == VersionNumber(1, 999, 0)
