"""How deployments stand, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from regista.deployer.ledger import Counts


class DeploymentGauges(Collector):
    """Asks whenever the metrics are read."""

    def __init__(self, counts: Callable[[], Counts], position: Callable[[], int], reports: Callable[[], int]) -> None:
        self._counts = counts
        self._position = position
        self._reports = reports

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing before it is asked."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges."""
        counts = self._counts()
        states = GaugeMetricFamily(
            "regista_deployments", "Deployments that wait, run, are overdue or failed for good.", labels=("state",)
        )
        for state in ("pending", "running", "overdue", "failed"):
            states.add_metric((state,), getattr(counts, state))
        yield states
        yield GaugeMetricFamily("regista_deployer_position", "How far the deployer has followed.", self._position())
        yield GaugeMetricFamily("regista_deployer_reports_waiting", "Reports not answered yet.", self._reports())
