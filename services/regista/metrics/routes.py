"""The API of live metrics: reports in, what is known of variants out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.requests import Request

from regista.domain.errors import NotFound
from regista.metrics.experiments import now_utc
from regista.metrics.ingestion import Ingestion
from regista.metrics.known import key_of
from regista.metrics.live import endpoint_metrics
from regista.wire.inference import EndpointMetrics, InferenceAccepted, ReportInference
from regista.wire.resources import Problem
from regista.work.database import Work

_PATH = "/v1/endpoints/{environment}/{endpoint}/metrics"
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such endpoint."}}


def metrics_routes(work: Work, ingestion: Ingestion, *, now: Callable[[], datetime] = now_utc) -> APIRouter:
    """The routes, over the work database that experiments are kept in."""
    router = APIRouter(tags=["endpoints"])

    @router.post(_PATH, status_code=202, responses=_UNKNOWN)
    async def report_inference(
        environment: str, endpoint: str, body: ReportInference, request: Request
    ) -> InferenceAccepted:
        """Report what versions answered at an endpoint. Each report counts once by its `id`: send it again when in doubt."""
        return await ingestion.accept(environment, endpoint, body, request.state.principal.actor)

    @router.get(_PATH, responses=_UNKNOWN)
    async def get_endpoint_metrics(environment: str, endpoint: str) -> EndpointMetrics:
        """What is known of the variants that are served: since the newest change took effect, and lately."""

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
