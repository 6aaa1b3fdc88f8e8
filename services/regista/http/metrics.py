"""What ``/metrics`` tells, in a registry of its own: two servers in one process do not share counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from regista.wire.resources import ViewStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RELAY_STATES = ("starting", "leading", "waiting", "halted", "stopped")
INTAKE_STATES = ("starting", "taking", "waiting", "halted", "stopped")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)


class Metrics:
    """The counters of one server. Its methods cost about a microsecond and never raise."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "regista_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._request_seconds = Histogram(
            "regista_http_request_seconds",
            "From the request's head to the answer's end.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._writes = Counter(
            "regista_writes", "Commands decided, by outcome.", ("command", "outcome"), registry=self.registry
        )
        self._write_seconds = Histogram(
            "regista_write_seconds",
            "From a command's request to its answer, the durable commit included.",
            ("command",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "regista_commit_commands", "Commands per commit of the log.", buckets=_SIZES, registry=self.registry
        )
        self._commit_seconds = Histogram(
            "regista_commit_seconds", "One commit of the log.", buckets=_SECONDS, registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered. ``route`` is the pattern, never the path: its values are few."""
        key = (method, route, status)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = (
                self._requests.labels(method, route, str(status)),
                self._request_seconds.labels(method, route),
            )
        found[0].inc()
        found[1].observe(seconds)

    def write(self, command: str, outcome: str, seconds: float) -> None:
        """One command was decided."""
        self._writes.labels(command, outcome).inc()
        self._write_seconds.labels(command).observe(seconds)

    def commit(self, commands: int, seconds: float) -> None:
        """One batch was committed."""
        self._batch.observe(commands)
        self._commit_seconds.observe(seconds)

    def observe(self, log_position: Callable[[], int], views: Callable[[], Iterable[ViewStatus]]) -> None:
        """Ask for the position of the log and of the views whenever the metrics are read."""
        self.registry.register(_Positions(log_position, views))

    def count_readers(self, readers: Callable[[], int]) -> None:
        """Ask for the number of readers of the event stream whenever the metrics are read."""
        self.registry.register(_Readers(readers))

    def observe_relay(self, name: str, state: Callable[[], RelayFigures]) -> None:
        """Ask for how a relay stands whenever the metrics are read."""
        self.registry.register(_Relay(name, state))

    def observe_intake(self, state: Callable[[], IntakeFigures]) -> None:
        """Ask for how the intake of commands stands whenever the metrics are read."""
        self.registry.register(_Intake(state))

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


class RelayFigures(Protocol):
    """What a relay tells of itself."""

    @property
    def state(self) -> str:
        """One of ``RELAY_STATES``."""

    @property
    def position(self) -> int:
        """The newest position that was published."""

    @property
    def lag(self) -> int:
        """Positions that are still to be published."""

    @property
    def published(self) -> int:
        """Entries published since its start."""


class IntakeFigures(Protocol):
    """What the intake of commands tells of itself."""

    @property
    def state(self) -> str:
        """One of ``INTAKE_STATES``."""

    @property
    def lag(self) -> int:
        """Offsets that are still to be taken in."""

    @property
    def taken(self) -> int:
        """Commands taken in since its start."""

    @property
    def begun_anew(self) -> int:
        """Partitions found to be those of a topic made anew, since its start."""


class _Intake(Collector):
    def __init__(self, state: Callable[[], IntakeFigures]) -> None:
        self._state = state

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        found = self._state()
        yield GaugeMetricFamily("regista_intake_lag", "Offsets of commands that are still to be taken in.", found.lag)
        yield CounterMetricFamily("regista_intake_taken", "Commands taken in from Kafka.", found.taken)
        yield CounterMetricFamily(
            "regista_intake_begun_anew", "Partitions of a commands topic that was made anew.", found.begun_anew
        )
        state = GaugeMetricFamily("regista_intake_state", "1 for the state it is in.", labels=("state",))
        for name in INTAKE_STATES:
            state.add_metric((name,), found.state == name)
        yield state


class _Relay(Collector):
    def __init__(self, name: str, state: Callable[[], RelayFigures]) -> None:
        self._name = name
        self._state = state

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        found = self._state()
        for metric, text, value in (
            ("position", "The newest position that is published.", found.position),
            ("lag", "Positions that are still to be published.", found.lag),
        ):
            gauge = GaugeMetricFamily(f"regista_relay_{metric}", text, labels=("relay",))
            gauge.add_metric((self._name,), value)
            yield gauge
        published = CounterMetricFamily("regista_relay_published", "Entries published.", labels=("relay",))
        published.add_metric((self._name,), found.published)
        yield published
        state = GaugeMetricFamily("regista_relay_state", "1 for the state it is in.", labels=("relay", "state"))
        for name in RELAY_STATES:
            state.add_metric((self._name, name), found.state == name)
        yield state


class _Positions(Collector):
    def __init__(self, log_position: Callable[[], int], views: Callable[[], Iterable[ViewStatus]]) -> None:
        self._log_position = log_position
        self._views = views

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        end = self._log_position()
        yield GaugeMetricFamily("regista_log_position", "The position of the newest event.", end)
        position = GaugeMetricFamily("regista_view_position", "How far a view is folded.", labels=("view",))
        lag = GaugeMetricFamily("regista_view_lag", "Events that a view is behind, in positions.", labels=("view",))
        live = GaugeMetricFamily("regista_view_live", "1 while a view follows the log.", labels=("view",))
        for view in self._views():
            position.add_metric((view.name,), view.position)
            lag.add_metric((view.name,), max(0, end - view.position))
            live.add_metric((view.name,), view.state == "live")
        yield from (position, lag, live)


class _Readers(Collector):
    def __init__(self, readers: Callable[[], int]) -> None:
        self._readers = readers

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily("regista_stream_readers", "Readers of the event stream.", self._readers())
