"""What a metric is worth, and between what it lies: closed forms, valid however often they are looked at.

Verdicts are looked for every second, and a fixed 95 % interval that is looked at often enough excludes the truth for
certain. ``widened`` gives the width instead that holds at all sample sizes at once, as far as the central limit theorem
goes (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: *Time-uniform central limit theory and asymptotic confidence sequences*,
Annals of Statistics 52, 2024): about 3 standard errors where a fixed interval has 1.96.

* rates of errors, and business metrics whose values are 0 and 1: Wilson's score interval (*JASA* 22, 1927), corrected for
  continuity (Newcombe, *Statistics in Medicine* 17, 1998, 857-872, method 4): without the correction one error that comes
  early accuses a sound variant of 0.1 % nine times in a hundred;
* quantiles of latency: the latencies whose ranks lie so many binomial deviations around the quantile's (Conover,
  *Practical Nonparametric Statistics*, 3.2), at the outer ends of their ranges;
* means of other business metrics: mean and standard error, as in Welch's test with the normal distribution for Student's,
  from ``FEWEST`` samples on. Of values that were all the same only their size is known: the mean is said to be within the
  share of it that rarer values, none of which was seen, could make;
* requests per second: a Poisson count and its root;
* differences: the intervals of both, combined by the square and add method (Newcombe, *Statistics in Medicine* 17, 1998,
  873-890, method 10; for linear combinations Zou and Donner, *Statistics in Medicine* 27, 2008). For two means it is Welch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, log, sqrt
from statistics import NormalDist

from regista.domain.endpoint.endpoints import LATENCIES
from regista.metrics.totals import Totals, mean_and_deviation
from regista.wire.inference import BusinessSum

ALPHA = 0.05
FEWEST = 30
"""Values that a mean rests on: of fewer their spread is not known, and every second sound variant would be accused."""
_HAIR = 1e-6
"""Of a mean: a smaller spread is what the rounding of sums leaves."""
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
        return None if totals.requests == 0 else _rate(totals.errors, totals.requests, planned)
    if metric == "requests":
        return per_second(totals.requests, seconds, widened(totals.requests, planned)) if seconds > 0 else None
    if metric in LATENCIES:
        return quantile(totals, LATENCIES[metric], planned)
    values = totals.business.get(metric)
    if values is None or values.count == 0:
        return None
    return _mean(values, planned)


def fewest(metric: str) -> int:
    """How many samples it takes at least to know anything of a metric."""
    return 1 if metric in {"errors", "requests", *LATENCIES} else FEWEST


def wilson(successes: int, trials: int, z: float = FIXED) -> Estimate:
    """A rate within Wilson's score interval, corrected for continuity. ``trials`` is not 0."""
    rate, square = successes / trials, z * z

    def reach(p: float) -> float:
        """How far the end on the side of 0 lies below ``centre`` for a rate, in halves of the divisor."""
        return 1 + z * sqrt(max(0.0, square - 2 - 1 / trials + 4 * p * (trials * (1 - p) + 1)))

    divisor = 2 * (trials + square)
    low = 0.0 if successes == 0 else max(0.0, (2 * successes + square - reach(rate)) / divisor)
    high = 1.0 if successes == trials else min(1.0, (2 * successes + square + reach(1 - rate)) / divisor)
    return Estimate(rate, min(low, rate), max(high, rate), trials)


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


def _rate(successes: int, trials: int, planned: int) -> Estimate:
    return wilson(successes, trials, widened(trials, planned))


def _ones(values: BusinessSum) -> int | None:
    """How many of values are 1 where all others are 0; None where there are others.

    Of values between 0 and 1 only these equal their squares in sum.
    """
    ones = round(values.sum)
    whole = values.sum == ones == values.sum_of_squares
    return ones if whole and 0 <= ones <= values.count else None


def _mean(values: BusinessSum, planned: int) -> Estimate:
    ones = _ones(values)
    if ones is not None:
        return _rate(ones, values.count, planned)
    mean, deviation = mean_and_deviation(values)
    width = widened(values.count, planned)
    reach = width * deviation / sqrt(values.count)
    if deviation <= _HAIR * abs(mean):
        reach = abs(mean) * width**2 / (values.count + width**2)
    return Estimate(mean, mean - reach, mean + reach, values.count)


def _spread(alpha: float) -> float:
    """What the paper recommends for rho squared times n, where the interval is to be tightest at n."""
    twice = -2 * log(alpha)
    return twice + log(twice + 1)
