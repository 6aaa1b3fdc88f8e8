"""What was counted of a variant, in a form that can be added: over reporters, intervals, processes.

Counts and histograms add exactly, in any order and any grouping. Sums of business metrics are floating point: they
differ by rounding alone, about 1e-16 of the largest addend each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

from regista.metrics.histogram import Histogram, of_report
from regista.wire.inference import BusinessSum, InferenceReport


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests, errors among them, latencies in seconds, sums of business metrics. Immutable."""

    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    business: Mapping[str, BusinessSum] = field(default_factory=dict)

    def __add__(self, other: Totals) -> Totals:
        business = dict(self.business)
        for name, more in other.business.items():
            business[name] = added(business.get(name), more)
        return Totals(
            self.requests + other.requests, self.errors + other.errors, self.latency + other.latency, business
        )


def of(report: InferenceReport) -> Totals:
    """What a report counted."""
    return Totals(report.requests, report.errors, of_report(report.latency), dict(report.business))


def added(one: BusinessSum | None, other: BusinessSum) -> BusinessSum:
    """Both sums as one."""
    if one is None:
        return other
    return BusinessSum(one.count + other.count, one.sum + other.sum, one.sum_of_squares + other.sum_of_squares)


def with_at_most(totals: Totals, names: int, first: Collection[str] = ()) -> Totals:
    """The same with no more business metrics than this: those named ``first``, then by name."""
    if len(totals.business) <= names:
        return totals
    kept = sorted(totals.business, key=lambda name: (name not in first, name))[:names]
    return replace(totals, business={name: totals.business[name] for name in kept})


def mean_and_deviation(values: BusinessSum) -> tuple[float, float]:
    """The mean, and the standard deviation of a sample (divisor n - 1; 0 of fewer than two values)."""
    if values.count == 0:
        return 0.0, 0.0
    mean = values.sum / values.count
    if values.count == 1:
        return mean, 0.0
    return mean, sqrt(max(0.0, values.sum_of_squares - values.sum * mean) / (values.count - 1))


def to_json(totals: Totals) -> dict[str, Any]:
    """Totals as they are stored."""
    return {
        "requests": totals.requests,
        "errors": totals.errors,
        "latency": [[low, high, count] for (low, high), count in sorted(totals.latency.counts.items())],
        "business": {name: [v.count, v.sum, v.sum_of_squares] for name, v in sorted(totals.business.items())},
    }


def from_json(stored: Mapping[str, Any]) -> Totals:
    """The totals that were stored."""
    return Totals(
        stored["requests"],
        stored["errors"],
        Histogram({(low, high): count for low, high, count in stored["latency"]}),
        {name: BusinessSum(*values) for name, values in stored["business"].items()},
    )
