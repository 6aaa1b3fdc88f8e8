"""Many reports on deployments in one request: what a deployer with much to do tells, and what it is answered."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from regista.wire.base import Name, Request, Resource
from regista.wire.deployments import ReportDeployment
from regista.wire.resources import ProblemReason

MOST_REPORTS: Final = 500


class DeploymentReport(ReportDeployment):
    """One of them. ``idempotency_key`` and ``cause`` are what the headers say where it comes alone."""

    environment: Name
    endpoint: Name
    idempotency_key: Name
    cause: Annotated[str, Field(max_length=512)] | None = None


class ReportDeployments(Request):
    """``POST /v1/deployment-reports``: each is taken or refused by itself; those on one endpoint in this order."""

    reports: Annotated[list[DeploymentReport], Field(min_length=1, max_length=MOST_REPORTS)]


class ReportOutcome(Resource):
    """What became of one report: the status that it would have been answered with alone.

    With success ``position`` is that of its event; else ``code``, ``detail``, ``hint`` and ``reasons`` are those of
    the problem.
    """

    status: int
    position: int | None = None
    code: str | None = None
    detail: str | None = None
    hint: str | None = None
    reasons: list[ProblemReason] = []


class ReportOutcomes(Resource):
    """What became of each report, in the order of the request."""

    items: list[ReportOutcome]
