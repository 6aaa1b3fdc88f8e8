"""Many reports in one request. Each is a command of its own: one that is refused hinders no other one."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from time import perf_counter
from typing import Any, Final, TypeAlias

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from regista.domain.errors import Internal, RegistaError
from regista.http.problems import reason_body
from regista.registrar.acknowledge import Executor
from regista.registrar.deployment_conversion import report_deployment
from regista.registrar.direct import Documented, add_route, read_body, read_query
from regista.registrar.request import Caller, check_cause
from regista.registrar.request import Request as CommandRequest
from regista.wire.deployment_reports import DeploymentReport, ReportDeployments, ReportOutcomes

Observe: TypeAlias = Callable[[str, str, float], None]
logger = logging.getLogger("regista.http")
_DOCUMENTED: Final = Documented(
    "report_deployments", "Report what became of many changes", "endpoints", ReportOutcomes, body=ReportDeployments,
    headers=("traceparent",),
)  # fmt: skip


def add_report_routes(router: APIRouter, registrar: Executor, observe: Observe) -> None:
    """Add ``POST /v1/deployment-reports``; ``observe`` is told of each report as of one that came alone."""

    async def handle(request: Request) -> Response:
        read_query(request, ())
        body = await read_body(request, ReportDeployments)
        principal = request.state.principal
        caller = Caller(principal.actor, principal.identity, request.headers.get("traceparent"))

        async def tell(report: DeploymentReport) -> dict[str, Any]:
            started = perf_counter()
            answer = await _tell(registrar, caller, report)
            observe("report_deployment", answer.get("code") or "done", perf_counter() - started)
            return answer

        items = await _each(body.reports, tell)
        return Response(orjson.dumps({"items": items}), media_type="application/json")

    add_route(router, "POST", "/v1/deployment-reports", _DOCUMENTED, handle)


async def _each(
    reports: Sequence[DeploymentReport], tell: Callable[[DeploymentReport], Coroutine[Any, Any, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Those on one endpoint one by one, all others beside them: they share commits."""
    answers: list[dict[str, Any]] = [{} for _ in reports]
    of_endpoint: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, report in enumerate(reports):
        of_endpoint[report.environment.lower(), report.endpoint.lower()].append(number)

    async def in_turn(numbers: Sequence[int]) -> None:
        for number in numbers:
            answers[number] = await tell(reports[number])

    async with asyncio.TaskGroup() as together:
        for numbers in of_endpoint.values():
            together.create_task(in_turn(numbers))
    return answers


async def _tell(registrar: Executor, caller: Caller, report: DeploymentReport) -> dict[str, Any]:
    try:
        outcome = await registrar.execute(
            CommandRequest(
                command=report_deployment(report.environment, report.endpoint, report),
                caller=caller,
                reason=report.reason,
                command_id=report.idempotency_key,
                cause=check_cause(report.cause),
            )
        )
    except Exception as failure:
        error = failure if isinstance(failure, RegistaError) else Internal("the registry failed to decide on it")
        if isinstance(error, Internal):
            logger.exception("a report on %s/%s failed", report.environment, report.endpoint)
        reasons = [reason_body(reason) for reason in error.reasons]
        return {
            "status": error.status, "code": error.code, "detail": error.detail, "hint": error.hint, "reasons": reasons,
        }  # fmt: skip
    return {"status": outcome.status, "position": outcome.position}
