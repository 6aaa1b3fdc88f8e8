"""Gauges of variants for Prometheus: rates, shares of errors and latencies of the last minute.

Their number is bounded by ``figures.MOST_FIGURES`` variants. Histograms of requests themselves are the business of
whoever serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from regista.domain.endpoint.endpoints import LATENCIES
from regista.metrics.figures import VariantFigures

_LABELS = ("environment", "endpoint", "version", "region")


class VariantGauges(Collector):
    """Asks for the figures whenever metrics are read."""

    def __init__(self, figures: Callable[[], Sequence[VariantFigures]]) -> None:
        self._figures = figures

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: names do not depend on what is asked now."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges."""
        asked = GaugeMetricFamily("regista_variant_requests_per_second", "Requests answered.", labels=_LABELS)
        failed = GaugeMetricFamily("regista_variant_error_ratio", "Share of requests that failed.", labels=_LABELS)
        took = GaugeMetricFamily(
            "regista_variant_latency_seconds", "Quantiles of latency.", labels=(*_LABELS, "quantile")
        )
        for found in self._figures():
            labels = (found.environment, found.endpoint, found.version, found.region)
            asked.add_metric(labels, found.totals.requests / found.seconds)
            if found.totals.requests:
                failed.add_metric(labels, found.totals.errors / found.totals.requests)
            for share in LATENCIES.values():
                quantile = found.totals.latency.quantile(share)
                if quantile is not None:
                    took.add_metric((*labels, str(share)), quantile.value)
        yield from (asked, failed, took)
