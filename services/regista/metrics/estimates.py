"""What a metric is worth, and between what it lies: closed forms, valid however often they are looked at.

Verdicts are looked for every second, and a fixed 95 % interval that is looked at often enough excludes the truth for
certain. ``widened`` gives the width instead that holds at all sample sizes at once, as far as the central limit theorem
goes (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: *Time-uniform central limit theory and asymptotic confidence sequences*,
Annals of Statistics 52, 2024): about 3 standard errors where a fixed interval has 1.96.

* rates of errors: Wilson's score interval (*JASA* 22, 1927; recommended by Newcombe, *Statistics in Medicine* 17, 1998,
  857-872): right near 0 as well;
* quantiles of latency: the latencies whose ranks lie so many binomial deviations around the quantile's (Conover,
  *Practical Nonparametric Statistics*, 3.2), at the outer ends of their ranges;
* means of business metrics: mean and standard error, as in Welch's test with the normal distribution for Student's,
  which asks for some thirty samples;
* requests per second: a Poisson count and its root;
* differences: the intervals of both, combined by the square and add method (Newcombe, *Statistics in Medicine* 17, 1998,
  873-890, method 10; for linear combinations Zou and Donner, *Statistics in Medicine* 27, 2008). For two means it is Welch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, log, sqrt
from statistics import NormalDist

from regista.metrics.totals import Totals, mean_and_deviation

ALPHA = 0.05
QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
FIXED = NormalDist().inv_cdf(1 - ALPHA / 2)
"""Standard errors of an interval that is looked at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, what it lies between, and how many samples it rests on."""

    value: float
    low: float
    high: float
    samples: int


def widened(samples: int, planned: int, alpha: float = ALPHA) -> float:
    """Standard errors of an interval that holds at all sample sizes together, tightest around ``planned`` samples."""
    rho = _spread(alpha) / max(1, planned)
    scaled = max(1, samples) * rho
    return sqrt(2 * (scaled + 1) / scaled * log(sqrt(scaled + 1) / alpha))


def estimate(metric: str, totals: Totals, *, seconds: float, planned: int = 1_000) -> Estimate | None:
    """A metric by its name; None where nothing was measured. ``seconds``: how long it was measured."""
    if metric == "errors":
        return (
            None if totals.requests == 0 else wilson(totals.errors, totals.requests, widened(totals.requests, planned))
        )
    if metric == "requests":
        return per_second(totals.requests, seconds, widened(totals.requests, planned)) if seconds > 0 else None
    if metric in QUANTILES:
        return quantile(totals, QUANTILES[metric], planned)
    values = totals.business.get(metric)
    if values is None or values.count == 0:
        return None
    mean, deviation = mean_and_deviation(values)
    reach = widened(values.count, planned) * deviation / sqrt(values.count)
    return Estimate(mean, mean - reach, mean + reach, values.count)


def wilson(successes: int, trials: int, z: float = FIXED) -> Estimate:
    """A rate within Wilson's score interval. ``trials`` is not 0."""
    rate, square = successes / trials, z * z
    centre = (successes + square / 2) / (trials + square)
    reach = z / (trials + square) * sqrt(trials * rate * (1 - rate) + square / 4)
    low = 0.0 if successes == 0 else max(0.0, centre - reach)
    high = 1.0 if successes == trials else min(1.0, centre + reach)
    return Estimate(rate, low, high, trials)


def per_second(count: int, seconds: float, z: float = FIXED) -> Estimate:
    """The rate of a Poisson process."""
    reach = z * sqrt(count) / seconds
    return Estimate(count / seconds, max(0.0, count / seconds - reach), count / seconds + reach, count)


def quantile(totals: Totals, share: float, planned: int = 1_000) -> Estimate | None:
    """A quantile of the latencies within the ranks that it can have; None without latencies."""
    samples = totals.latency.total
    reach = widened(samples, planned) * sqrt(samples * share * (1 - share))
    first, last = samples * share - reach, samples * share + reach + 1
    value, low, high = (totals.latency.ranked(rank) for rank in (samples * share, first, last))
    if value is None or low is None or high is None:
        return None
    # Beyond the ranks that there are nothing is known of the latency.
    return Estimate(value.value, low.low if first > 0 else 0.0, high.high if last <= samples else inf, samples)


def difference(one: Estimate, other: Estimate, times: float = 1.0) -> Estimate:
    """``one`` less ``times`` the other; samples are the fewer of both."""
    ends = sorted((times * other.low, times * other.high)) if times else [0.0, 0.0]
    middle, value = times * other.value, one.value - times * other.value
    low = value - hypot(one.value - one.low, ends[1] - middle)
    high = value + hypot(one.high - one.value, middle - ends[0])
    return Estimate(value, low, high, min(one.samples, other.samples))


def _spread(alpha: float) -> float:
    """What the paper recommends for rho squared times n, where the interval is to be tightest at n."""
    twice = -2 * log(alpha)
    return twice + log(twice + 1)
