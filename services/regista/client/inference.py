"""Live metrics of what is served: reports in, what is known of variants out, and a recorder for those who serve."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil, log2
from typing import TYPE_CHECKING, Any

from regista.client.bind import read
from regista.client.calls import Read, Structure, Write
from regista.client.session import path
from regista.domain.identifiers import new_id

if TYPE_CHECKING:
    from regista.wire import inference as i  # loaded by those who measure alone

_PER_OCTAVE = 8
_LOWEST, _HIGHEST = -160, 96
"""Bounds from a microsecond to an hour, 9 % apart: those on which the registry adds histograms without loss."""


class LiveMetrics:
    """Reports on endpoints, and what is known from them, of both clients."""

    @read
    def report_inference(
        self, environment: str, endpoint: str, reports: Sequence[i.Inference | Structure]
    ) -> Write[i.InferenceAccepted]:
        """Report what versions answered, 1,000 reports at most. Each counts once by its id, however often it is sent."""
        target = path("endpoints", environment, endpoint, "metrics")
        return Write(_wire().InferenceAccepted, "POST", target, {"reports": list(reports)})

    @read
    def endpoint_metrics(self, environment: str, endpoint: str) -> Read[i.EndpointMetrics]:
        """What is known of the variants that are served: since the newest change took effect, and lately."""
        return Read(_wire().EndpointMetrics, path("endpoints", environment, endpoint, "metrics"))


class InferenceRecorder:
    """Counts what one version answers, until the next report is taken. Threads may share one.

    ::

        recorder = InferenceRecorder("1.4.0", digest, reporter="replica-1")
        recorder.observe(0.012, revenue=3.5)
        client.report_inference("prod", "fraud", [recorder.take()])     # every few seconds
    """

    def __init__(
        self, version: str, artifact_digest: str, *, region: str | None = None, reporter: str | None = None
    ) -> None:
        self._fixed: dict[str, Any] = {
            "version": version,
            "artifact_digest": artifact_digest,
            "region": region,
            "reporter": reporter,
        }
        self._lock = threading.Lock()
        self._begin()

    def observe(self, seconds: float, *, error: bool = False, **business: float) -> None:
        """One request was answered: how long it took, whether it failed, and what else was measured of it."""
        at = _LOWEST if seconds <= 0 else min(max(ceil(log2(seconds) * _PER_OCTAVE), _LOWEST), _HIGHEST + 1)
        with self._lock:
            self._requests += 1
            self._errors += error
            self._took[at] += 1
            for name, value in business.items():
                count, total, squares = self._business.get(name, (0, 0.0, 0.0))
                self._business[name] = (count + 1, total + value, squares + value * value)

    def take(self) -> dict[str, Any]:
        """The report of everything since the last one. Send it until it is accepted: its id makes it count once."""
        with self._lock:
            report = {
                **self._fixed,
                "id": new_id(),
                "started_at": self._started_at,
                "ended_at": datetime.now(UTC),
                "requests": self._requests,
                "errors": self._errors,
                "latency": self._latency(),
                "business": {
                    name: {"count": count, "sum": total, "sum_of_squares": squares}
                    for name, (count, total, squares) in self._business.items()
                },
            }
            self._begin()
        return report

    def _begin(self) -> None:
        self._started_at = datetime.now(UTC)
        self._requests = self._errors = 0
        self._took: Counter[int] = Counter()
        self._business: dict[str, tuple[int, float, float]] = {}

    def _latency(self) -> dict[str, Any]:
        if not self._took:
            return {}
        first, last = min(min(self._took) - 1, _HIGHEST), min(max(self._took), _HIGHEST)
        return {
            "bounds": [2.0 ** (at / _PER_OCTAVE) for at in range(first, last + 1)],
            "counts": [self._took[at] for at in range(first, last + 2)],
        }


def _wire() -> Any:  # noqa: ANN401 - the module of the answers, which only those who measure have to load
    from regista.wire import inference  # noqa: PLC0415 - as above

    return inference
