"""What ``/metrics`` tells of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from regista.notifier.queue import Outcome

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)


@dataclass(frozen=True, slots=True)
class Gauges:
    """How the queue stands; ``oldest`` in seconds, 0 where nothing waits."""

    lag: int
    open: int
    dead: int
    oldest: float
    under_way: int


class WebhookMetrics:
    """Counts attempts by what they led to (``delivered``, ``failed``, ``dead``), and shows how the queue stands."""

    def __init__(self, registry: CollectorRegistry, gauges: Callable[[], Gauges]) -> None:
        self._attempts = Counter(
            "regista_webhook_attempts", "Webhook requests, by what they led to.", ("outcome",), registry=registry
        )
        self._seconds = Histogram(
            "regista_webhook_attempt_seconds",
            "From a webhook's connection to its answer.",
            buckets=_SECONDS,
            registry=registry,
        )
        registry.register(_Queue(gauges))

    def ended(self, outcome: Outcome) -> None:
        """One attempt has ended."""
        self._attempts.labels(outcome.state).inc()
        self._seconds.observe(outcome.duration)


class _Queue(Collector):
    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        found = self._gauges()
        for name, text, value in (
            ("lag", "Positions of the log that the notifier has still to read.", found.lag),
            ("open", "Deliveries that wait or are being sent.", found.open),
            ("dead", "Deliveries that were given up, as long as they are kept.", found.dead),
            ("oldest_open_seconds", "How long the oldest open delivery waits.", found.oldest),
            ("under_way", "Deliveries that this process is sending.", found.under_way),
        ):
            yield GaugeMetricFamily(f"regista_webhook_{name}", text, value)
