"""Live metrics of a process: reports in, what is known of variants out, and, where it judges, verdicts on them.

``regista up`` does all of it; ``regista serve`` takes reports in and answers, and ``regista deploy`` counts and judges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from regista.client import AsyncClient
from regista.domain.errors import Reason, Unavailable
from regista.http.parts import Part, PartState
from regista.metrics.checks import check_report
from regista.metrics.commands import NAME
from regista.metrics.experiments import ACTOR, Counting, Experiments
from regista.metrics.gauges import VariantGauges
from regista.metrics.ingestion import Ingestion
from regista.metrics.routes import metrics_routes
from regista.projections.feed import Feed
from regista.tasks import Tasks
from regista.wire.inference import InferenceReport
from regista.work.consumer import Consumer, End
from regista.work.database import Work

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from regista.bus.metrics.intake import Placed, ReportIntake
    from regista.bus.metrics.publisher import ReportPublisher
    from regista.bus.metrics.reader import ReportReader
    from regista.settings import Settings


PATIENCE = 30.0
_AGAIN = 0.5


class Reporting:
    """Takes reports in over HTTP and answers what is known; judges nothing. With Kafka others count."""

    def __init__(self, settings: Settings, work: Work, counting: Counting | None = None) -> None:
        """Raises Unavailable, Damaged: as ``Work.migrate``."""
        self._work = work
        self._counting = counting or Counting(work)
        self._publisher = _publisher(settings)
        publish = None if self._publisher is None else self._publisher.publish
        self._ingestion = Ingestion(self._counting, publish)

    def routes(self, end: Callable[[], int]) -> APIRouter:
        """The routes. ``end`` gives the log's newest position, and may block."""
        return metrics_routes(self._work, self._ingestion, end=end)

    async def close(self) -> None:
        """Finish what was taken in."""
        await self._counting.close()
        if self._publisher is not None:
            await self._publisher.close()


class Judging:
    """Counts, judges and acts. Started, it works until ``close``; ``release`` lets go of connections.

    ``intake`` is what counts records of Kafka: read by this process, unless ``start`` is told that Faust does.
    """

    def __init__(
        self,
        settings: Settings,
        work: Work,
        feed: Feed,
        clients: Callable[[str], AsyncClient],
        metrics: CollectorRegistry,
        *,
        hindering: bool = False,
        end: End | None = None,
    ) -> None:
        """``hindering``: the process does little else, and is not ready where this is in trouble.

        ``end`` is as of ``Consumer``.

        Raises:
            Unavailable, Damaged: as ``Work.migrate``.
        """
        self._client = clients(ACTOR)
        self.experiments = Experiments(work, self._client)
        self.consumer = Consumer(work, self.experiments, feed, start=settings.effects_from, end=end)
        self.intake, self._reader = _intake(settings, self.experiments)
        self._reads = False
        self._hindering = hindering
        metrics.register(VariantGauges(lambda: self.experiments.figures))

    @property
    def parts(self) -> tuple[Part, ...]:
        """For the status."""
        return (self,)

    @property
    def name(self) -> str:
        """What it is called there."""
        return NAME

    def state(self) -> PartState:
        """How it stands."""
        consumer, shown = self.consumer.status(), dict(self.experiments.state().shown)
        shown |= {"position": consumer.position, "effects_from": consumer.effects_from}
        for found in (asdict(consumer), self._read_state()):
            if found.get("error") is not None and shown["error"] is None:
                shown |= {"code": found["code"], "error": found["error"], "hint": found["hint"]}
        if self.intake is not None:
            shown["intake"] = asdict(self.intake.counts)
        if not self._hindering or shown["error"] is None:
            return PartState(shown)
        return PartState(shown, Reason(str(shown["code"]), str(shown["error"]), self.name, shown.get("hint")))

    def start(self, tasks: Tasks, *, following: bool = True, reading: bool = True) -> None:
        """Run everything; what is false somebody else does: bring events to ``consumer``, and records to ``intake``."""
        if following:
            tasks.start("the experiments' log", self.consumer.run())
        if reading and self._reader is not None:
            self._reads = True
            tasks.start("the live metrics", self._reader.run())
        tasks.start("the experiments", self.experiments.run())

    async def close(self) -> None:
        """End everything after what it has in hand."""
        if self._reader is not None and self._reads:
            await self._reader.close()
        await self.consumer.close()
        await self.experiments.close()

    async def release(self) -> None:
        """Let go of connections, once all has ended."""
        if self.intake is not None:
            await self.intake.close()
        await self._client.aclose()

    async def count(self, records: Sequence[Placed]) -> None:
        """Count records that Faust brings, through an outage of up to ``PATIENCE`` seconds.

        Raises:
            RegistaError: the work database, or Kafka, is away for too long.
        """
        assert self.intake is not None  # Faust is on Kafka
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await self.intake.take(records)
            except Unavailable:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_AGAIN)

    def _read_state(self) -> dict[str, Any]:
        return {} if self._reader is None or not self._reads else asdict(self._reader.state())


def _publisher(settings: Settings) -> ReportPublisher | None:
    if settings.kafka is None:
        return None
    from regista.bus.metrics.publisher import ReportPublisher  # noqa: PLC0415 - an extra of its own

    return ReportPublisher(settings)


def _intake(settings: Settings, experiments: Experiments) -> tuple[ReportIntake | None, ReportReader | None]:
    if settings.kafka is None:
        return None, None
    from regista.bus.metrics.intake import ReportIntake  # noqa: PLC0415 - an extra of its own
    from regista.bus.metrics.reader import ReportReader  # noqa: PLC0415 - an extra of its own

    intake = ReportIntake(settings, experiments.add, _check)
    return intake, ReportReader(settings, intake)


def _check(report: InferenceReport) -> None:
    check_report(report, datetime.now(UTC))
