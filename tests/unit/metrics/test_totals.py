"""Counts can be added in any order and any grouping, stored, and read again; quantiles keep their error."""

from __future__ import annotations

import json
from math import ceil, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.inference import report

from regista.metrics.histogram import Histogram, bound, grid, of_report
from regista.metrics.totals import Totals, added, from_json, mean_and_deviation, of, to_json
from regista.wire.inference import BusinessSum, LatencyCounts

seconds = st.floats(1e-6, 1000)
bounds = st.lists(seconds, max_size=6, unique=True).map(sorted).map(tuple)
latencies = bounds.flatmap(
    lambda found: st.tuples(*[st.integers(0, 50)] * (len(found) + 1)).map(lambda counts: LatencyCounts(found, counts))
)
# Whole numbers below 2**53: floating point adds them exactly, so that equality can be asked for.
sums = st.builds(
    BusinessSum, st.integers(0, 1000), st.integers(-1000, 1000).map(float), st.integers(0, 1000).map(float)
)
some = st.builds(
    Totals,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    latencies.map(of_report),
    st.dictionaries(st.sampled_from("abc"), sums),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(some, max_size=8), st.randoms())
def test_any_order_and_any_grouping_adds_up_to_the_same(parts: list[Totals], random: object) -> None:
    whole = sum(parts, Totals())
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    cut = len(shuffled) // 2
    assert sum(shuffled[:cut], Totals()) + sum(shuffled[cut:], Totals()) == whole
    assert whole.latency.total == sum(part.latency.total for part in parts)


@settings(max_examples=40, deadline=None)
@given(some)
def test_what_is_stored_is_read_again(totals: Totals) -> None:
    assert from_json(json.loads(json.dumps(to_json(totals)))) == totals


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.lists(seconds, min_size=1, max_size=30), bounds), min_size=1, max_size=4), st.floats(0.01, 1)
)
def test_a_quantile_lies_in_the_range_that_is_given(
    parts: list[tuple[list[float], tuple[float, ...]]], share: float
) -> None:
    histogram = Histogram()
    for values, edges in parts:
        counts = [0] * (len(edges) + 1)
        for value in values:
            counts[next((i for i, edge in enumerate(edges) if value <= edge), len(edges))] += 1
        histogram += of_report(LatencyCounts(edges, tuple(counts)))
    everything = sorted(value for values, _ in parts for value in values)
    true = everything[max(0, ceil(share * len(everything) - 1e-9) - 1)]
    found = histogram.quantile(share)
    assert found is not None
    assert found.low <= true <= found.high
    assert found.low <= found.value <= found.high


def test_on_the_grid_a_quantile_is_within_nine_percent() -> None:
    edges = grid(0.001, 10)
    values = [0.002 * 1.01**i for i in range(700)]
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[next(i for i, edge in enumerate(edges) if value <= edge)] += 1
    histogram = of_report(LatencyCounts(edges, tuple(counts)))
    for share in (0.5, 0.95, 0.99):
        found = histogram.quantile(share)
        assert found is not None
        assert found.value == pytest.approx(values[ceil(share * 700) - 1], rel=0.091)
        assert found.high / found.low == pytest.approx(2 ** (1 / 8))


def test_the_last_bucket_has_no_end_and_no_counts_have_no_quantile() -> None:
    found = of_report(LatencyCounts((0.1,), (1, 9))).quantile(0.99)
    assert found is not None
    assert found.low == pytest.approx(0.1, rel=0.091)
    assert found.high == inf
    assert Histogram().quantile(0.5) is None
    assert (bound(-10_000), bound(10_000)) == (0.0, inf)


def test_spreading_evenly_is_what_a_quantile_in_one_bucket_means() -> None:
    found = of_report(LatencyCounts((1.0, 2.0), (0, 10, 0))).quantile(0.3)
    assert found is not None
    assert found.value == pytest.approx(1.3)


def test_means_and_deviations_are_those_of_all_values() -> None:
    one, other = report(values=[1.0, 2.0, 3.0]), report(values=[4.0])
    both = of(one) + of(other)
    assert mean_and_deviation(both.business["revenue"]) == pytest.approx((2.5, 1.2909944))
    assert mean_and_deviation(BusinessSum(0, 0.0, 0.0)) == (0.0, 0.0)
    assert mean_and_deviation(added(None, BusinessSum(1, 7.0, 49.0))) == (7.0, 0.0)
