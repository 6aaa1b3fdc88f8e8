"""Statistics: the examples of the papers, and what repeated looking may not do."""

from __future__ import annotations

from math import inf, sqrt
from random import Random

import pytest

from regista.metrics.estimates import FIXED, Estimate, difference, estimate, per_second, quantile, widened, wilson
from regista.metrics.histogram import of_report
from regista.metrics.totals import Totals
from regista.wire.inference import BusinessSum, LatencyCounts


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2535, 0.3682), (15, 148, 0.0598, 0.1644), (0, 20, 0.0, 0.2005), (1, 29, 0.0018, 0.1963)],
)
def test_rates_have_the_intervals_of_newcombe_1998_method_4(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.value == successes / trials


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [((56, 70), (48, 80), 0.0428, 0.3422), ((9, 10), (3, 10), 0.1013, 0.8387), ((10, 10), (0, 20), 0.6014, 1.0)],
)
def test_differences_of_rates_have_the_intervals_of_newcombe_1998_method_11(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = difference(wilson(*one), wilson(*other))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_the_difference_of_two_means_is_welchs() -> None:
    one, other = Estimate(5.0, 5.0 - 2 * FIXED, 5.0 + 2 * FIXED, 50), Estimate(4.0, 4.0 - FIXED, 4.0 + FIXED, 40)
    found = difference(one, other)
    assert found.value - found.low == pytest.approx(FIXED * sqrt(2**2 + 1))
    assert found.samples == 40
    assert difference(one, other, 3.0).value == -7.0


def mean_of(count: int, total: float, squares: float) -> Estimate:
    found = estimate("m", Totals(business={"m": BusinessSum(count, total, squares)}), seconds=1.0, planned=50)
    assert found is not None
    return found


@pytest.mark.parametrize("hits", [0, 1, 2, 31, 61, 62])
def test_a_metric_of_zeros_and_ones_is_a_rate(hits: int) -> None:
    found = mean_of(62, hits, hits)
    assert found == wilson(hits, 62, widened(62, 50))
    assert found.high - found.low > 0.1, "nothing is certain of 62 samples"


def test_values_that_were_all_the_same_do_not_make_the_mean_certain() -> None:
    few, many = mean_of(62, 62 * 0.7, 62 * 0.49), mean_of(62_000, 62_000 * 0.7, 62_000 * 0.49)
    assert few.low < 0.65 < 0.75 < few.high
    assert many.high - many.low < 0.001
    assert mean_of(62, 62 * 70, 62 * 4_900).high == pytest.approx(100 * few.high), "the unit does not matter"


@pytest.mark.parametrize(("rate", "fewest"), [(0.03, 30), (0.001, 30), (0.02, 1), (0.97, 30)])
def test_sound_variants_with_rare_errors_or_hits_are_accused_rarely(rate: float, fewest: int) -> None:
    """Of 200 series whose rate is exactly the bound, judged after every request up to 1,000."""
    random, above, below = Random(11), 0, 0
    widths = [widened(max(1, n), fewest) for n in range(1_001)]
    for _ in range(200):
        hits, ends = 0, []
        for n in range(1, 1_001):
            hit = random.random() < rate
            hits += hit
            if n >= fewest and (hit or n % 20 == 0 or n == fewest):
                found = wilson(hits, n, widths[n])
                ends.append((found.low, found.high))
        above += any(low > rate for low, _ in ends)
        below += any(high < rate for _, high in ends)
    assert max(above, below) <= 0.05 * 200


def test_numbers_as_large_as_they_may_be_stop_nobody() -> None:
    values = BusinessSum(40, 1e100, 1e200)
    found = estimate("revenue", Totals(business={"revenue": values}), seconds=1.0)
    assert found is not None
    assert difference(found, found, 1e200).low < 0


def test_nothing_is_known_of_a_quantile_beyond_the_ranks_that_there_are() -> None:
    totals = Totals(100, 0, of_report(LatencyCounts((0.5, 1.0), (50, 50, 0))))
    found = quantile(totals, 0.99)
    assert found is not None
    assert found.high == inf
    assert found.low == 0.5
    assert quantile(Totals(), 0.5) is None


def test_the_interval_of_a_quantile_narrows_with_samples() -> None:
    few, many = (
        quantile(
            Totals(20 * each, 0, of_report(LatencyCounts(tuple(0.1 * i for i in range(1, 20)), (each,) * 20))), 0.5
        )
        for each in (10, 10_000)
    )
    assert few is not None
    assert many is not None
    assert few.low < many.low <= many.value <= many.high < few.high


def test_a_count_per_second_is_a_poisson_rate() -> None:
    assert per_second(400, 100.0, 2.0) == Estimate(4.0, 3.6, 4.4, 400)


def test_metrics_are_found_by_their_names() -> None:
    totals = Totals(1000, 10, of_report(LatencyCounts((0.1,), (1000, 0))), {"revenue": BusinessSum(100, 500.0, 2600.0)})
    assert {name: found.value for name in ("errors", "requests", "latency_p95", "revenue")
            if (found := estimate(name, totals, seconds=100.0))} == {
        "errors": 0.01, "requests": 10.0, "latency_p95": pytest.approx(0.095, rel=0.1), "revenue": 5.0,
    }  # fmt: skip
    assert estimate("unknown", totals, seconds=100.0) is None
    assert estimate("errors", Totals(), seconds=100.0) is None


def test_looking_all_the_time_accuses_a_sound_variant_rarely() -> None:
    """Of 300 series whose rate is exactly the bound, judged after every 20 of 4,000 requests."""
    random, rate, accused_fixed, accused = Random(7), 0.05, 0, 0
    for _ in range(300):
        errors, fixed, wide = 0, False, False
        for requests in range(20, 4_001, 20):
            errors += sum(random.random() < rate for _ in range(20))
            if requests >= 200:
                fixed = fixed or wilson(errors, requests).low > rate
                wide = wide or wilson(errors, requests, widened(requests, 200)).low > rate
        accused_fixed, accused = accused_fixed + fixed, accused + wide
    assert accused <= 0.05 * 300
    assert accused_fixed > 0.05 * 300, "the comparison shows nothing where a fixed interval does not fail"
