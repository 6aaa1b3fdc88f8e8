"""The API of live metrics: reports in, what is known of variants out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection
from starlette.requests import Request

from regista.domain.errors import NotFound, Unavailable
from regista.domain.times import Clock, utc_now
from regista.metrics.commands import NAME
from regista.metrics.ingestion import Ingestion
from regista.metrics.known import key_of
from regista.metrics.live import endpoint_metrics
from regista.wire.inference import EndpointMetrics, InferenceAccepted, ReportInference
from regista.wire.resources import Problem
from regista.work.database import Work
from regista.work.parameters import known_parameters
from regista.work.reached import wait_for

_PATH = "/v1/endpoints/{environment}/{endpoint}/metrics"
_WAITS = "Answer for this position at least: waits up to 2 seconds, then 503."
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such endpoint."}}


def metrics_routes(work: Work, ingestion: Ingestion, *, end: Callable[[], int], now: Clock = utc_now) -> APIRouter:
    """The routes, over the work database that experiments are kept in. ``end``: the log's newest position."""
    router = APIRouter(tags=["endpoints"], dependencies=[Depends(known_parameters)])

    @router.post(_PATH, status_code=202, responses=_UNKNOWN, summary="Report what versions answered")
    async def report_inference(
        environment: str, endpoint: str, body: ReportInference, request: Request
    ) -> InferenceAccepted:
        """Report what versions answered at an endpoint. Each report counts once by its `id`: send it again when in doubt."""
        return await ingestion.accept(environment, endpoint, body, request.state.principal.actor)

    @router.get(_PATH, responses=_UNKNOWN, summary="How the variants of an endpoint do")
    async def get_endpoint_metrics(
        environment: str,
        endpoint: str,
        min_position: Annotated[int, Query(ge=0, lt=2**63, description=_WAITS)] = 0,
    ) -> EndpointMetrics:
        """What is known of the variants that are served: since the newest change took effect, and lately."""
        await wait_for(work, NAME, min_position, end, _behind)

        def look(connection: Connection) -> EndpointMetrics | None:
            return endpoint_metrics(connection, key_of(environment, endpoint), now())

        found = await work.run(look)
        if found is None:
            raise NotFound(
                f"there is no endpoint {environment}/{endpoint}",
                code="unknown_endpoint",
                hint="Look at GET /v1/endpoints.",
            )
        return found

    return router


def _behind(reached: int) -> Unavailable:
    return Unavailable(
        f"experiments have followed the log to position {reached}",
        code="not_visible_yet",
        hint="Ask again; GET /v1/status shows how far they are, where they run.",
    )
