"""Reports that come over HTTP: to Kafka where it is, for whoever counts; else into the counts of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from regista.domain.errors import Invalid, NotFound, Reason
from regista.domain.times import Clock, utc_now
from regista.metrics.checks import check_report
from regista.wire.inference import (
    BusinessSum,
    Inference,
    InferenceAccepted,
    InferenceReport,
    LatencyCounts,
    ReportInference,
)

KNOWN_WITHIN = 2.0
"""Seconds that an endpoint which was just created may take to be known here."""
_LOOK = 0.05


class Counts(Protocol):
    """Where reports are counted: ``experiments.Counting``."""

    async def add(self, reports: Sequence[InferenceReport]) -> None:
        """Count them."""

    async def knows(self, environment: str, endpoint: str) -> bool:
        """Whether there is such an endpoint."""


class Ingestion:
    """Takes reports in. With ``publish`` they go to Kafka, and a registry elsewhere counts them."""

    def __init__(
        self,
        counts: Counts,
        publish: Callable[[Sequence[InferenceReport]], Awaitable[None]] | None = None,
        *,
        now: Clock = utc_now,
    ) -> None:
        self._counts = counts
        self._publish = publish
        self._now = now

    async def accept(self, environment: str, endpoint: str, body: ReportInference, reporter: str) -> InferenceAccepted:
        """Take reports in. Once it returns they are not lost; all of them are taken, or none.

        Raises:
            Invalid: ``invalid_report``, with every reason of every report.
            NotFound: ``unknown_endpoint``.
            Unavailable: ``overloaded``, ``not_published``, ``work_unavailable``: send the same again.
        """
        reports = [report_of(environment, endpoint, given, reporter) for given in body.reports]
        self._check(reports)
        if self._publish is not None:
            await self._publish(reports)
            return InferenceAccepted(taken=len(reports), via="kafka")
        await self._await_endpoint(environment, endpoint)
        await self._counts.add(reports)
        return InferenceAccepted(taken=len(reports), via="database")

    def _check(self, reports: Sequence[InferenceReport]) -> None:
        now, reasons = self._now(), []
        for i, report in enumerate(reports):
            try:
                check_report(report, now)
            except Invalid as error:
                field = f"reports[{i}]"
                reasons += [Reason(r.code, r.detail, f"{field}.{r.field}", r.hint) for r in error.reasons]
        if reasons:
            raise Invalid(reasons[0].detail, code="invalid_report", hint=reasons[0].hint, reasons=reasons)

    async def _await_endpoint(self, environment: str, endpoint: str) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + KNOWN_WITHIN
        while not await self._counts.knows(environment, endpoint):
            if loop.time() > until:
                raise NotFound(
                    f"there is no endpoint {environment}/{endpoint}",
                    code="unknown_endpoint",
                    hint="Look at GET /v1/endpoints; regista deploy, or regista up, has to run for reports to be counted.",
                )
            await asyncio.sleep(_LOOK)


def report_of(environment: str, endpoint: str, given: Inference, reporter: str) -> InferenceReport:
    """A report out of a request; who sends it is its reporter, unless it names one."""
    return InferenceReport(
        id=given.id,
        environment=environment,
        endpoint=endpoint,
        region=given.region,
        version=given.version,
        artifact_digest=given.artifact_digest,
        reporter=given.reporter or reporter,
        started_at=given.started_at,
        ended_at=given.ended_at,
        requests=given.requests,
        errors=given.errors,
        latency=LatencyCounts(tuple(given.latency.bounds), tuple(given.latency.counts)),
        business={name: BusinessSum(v.count, v.sum, v.sum_of_squares) for name, v in given.business.items()},
    )
