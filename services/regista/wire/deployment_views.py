"""Answers of the reads of environments, targets, endpoints and subscriptions: wanted, pending, actual.

Weights and mirrored shares are percentages, as everywhere outside. Times are those of the events. ``at`` names the
position answered for, in queries into the past.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from regista.wire.base import Resource
from regista.wire.deployments import Canary, GuardrailKept, Observed, RefusalReason, SecretKept, Variant
from regista.wire.resources import ArtifactRef


class Environment(Resource):
    """``GET /v1/environments/{environment}``. No ``regions``: one, without a name."""

    environment: str
    description: str
    stages: list[str]
    regions: list[str]
    created_at: datetime
    updated_at: datetime
    updated_by: str
    reason: str | None
    sequence: int
    at: int | None = None


class Target(Resource):
    """``GET /v1/targets/{target}``. Of secrets the fingerprints alone. One that was removed is as it was before."""

    target: str
    kind: str
    description: str
    settings: dict[str, Any]
    secrets: list[SecretKept]
    removed: bool
    created_at: datetime
    updated_at: datetime
    updated_by: str
    reason: str | None
    sequence: int


class Wanted(Resource):
    """What is to be served, and since which change. ``change`` is null, and nothing wanted, before the first one.

    ``how`` is traffic-changed, rolled-back or retired; ``restores`` the change that a rollback returned to; ``cause``
    the event that led to it (``<stream>@<sequence>``).
    """

    change: int | None
    how: str | None
    variants: list[Variant]
    canary: Canary | None
    restores: int | None = None
    since: datetime
    since_position: int
    actor: str
    reason: str | None
    cause: str | None = None


class RunningVariant(Observed):
    """What a target serves. Not ``known``: the registry knew no version of the model with this digest when it was told."""

    known: bool


class Drift(Resource):
    """A share of traffic that is not as wanted, in percent.

    ``what`` is missing (wanted, and gets nothing), unexpected (not wanted, and gets some), weight or mirror.
    """

    what: str
    version: str | None
    artifact_digest: str
    region: str | None
    wanted: float
    observed: float


class Actual(Resource):
    """What one target told last.

    ``state`` is that of the wanted change there: pending until the target told of it, then what it told: succeeded,
    failed, superseded. All that follows is of the newest report, null before the first; ``change`` is the one
    that it is of. ``drifting``: it is of the wanted change, and what runs is something else; null where the target does
    not say what runs. ``listed`` is false for a target that the endpoint has no more and that still serves something.
    """

    target: str
    listed: bool
    state: str
    change: int | None
    reported: str | None
    observed: list[RunningVariant]
    drifting: bool | None
    differences: list[Drift]
    attempts: int | None
    detail: str | None
    at: datetime | None
    position: int | None


class Refused(Resource):
    """The last time that what is followed was not let in. ``outdated``: the traffic has changed since."""

    followed: str
    version: str
    ordinal: int
    artifact_digest: str
    code: str
    reasons: list[RefusalReason]
    change: int | None
    outdated: bool
    at: datetime
    position: int
    cause: str | None


class Measurement(Resource):
    """A metric of a variant over ``samples``, and the bound that it was compared with."""

    version: str
    region: str | None
    metric: str
    value: float
    samples: int
    limit: float | None


class Concluded(Resource):
    """The last verdict. ``outdated``: the traffic has changed since."""

    change: int
    step: int | None
    verdict: str
    measured: list[Measurement]
    explanation: list[str]
    outdated: bool
    at: datetime
    position: int
    actor: str
    reason: str | None


class Endpoint(Resource):
    """``GET /v1/endpoints/{environment}/{endpoint}``: what is wanted, what is pending, what runs.

    ``state`` is the first of these that holds. idle: nothing was ever wanted. failed: a target failed with the wanted
    change, or serves it no more. drifting: a target serves something else than it was given. pending: a target is not
    done with the wanted change. retired: nothing is wanted any more. untargeted: it has no targets, whoever serves
    it reads it here. deployed: every target serves what is wanted, as far as it says.

    ``pending`` are the targets that are not done with the wanted change. ``created_at`` is that of the last creation.
    """

    environment: str
    endpoint: str
    model: str
    description: str
    targets: list[str]
    follow: str | None
    automatic: bool
    guardrails: list[GuardrailKept]
    retired: bool
    state: str
    wanted: Wanted
    pending: list[str]
    actual: list[Actual]
    refused: Refused | None
    concluded: Concluded | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    sequence: int
    at: int | None = None


class EndpointChange(Resource):
    """One line of ``…/changes``: what was to be served from when to when. ``change`` is its sequence.

    ``until`` is null while it lasts.
    """

    environment: str
    endpoint: str
    model: str
    change: int
    how: str
    variants: list[Variant]
    canary: Canary | None
    restores: int | None
    since: datetime
    since_position: int
    until: datetime | None
    until_position: int | None
    actor: str
    reason: str | None
    cause: str | None


class Deployment(Resource):
    """One line of ``…/deployments``: what became of a change on a target.

    ``state`` is pending while the change is wanted and the target has not told of it, unreported once another change
    took its place, else what was reported last: succeeded, failed, superseded. ``changed_at`` is when it was
    wanted, ``first_at`` and ``at`` when the first and the last of ``reports`` came. ``drifting`` as in ``Actual``, against
    what this change wanted.
    """

    environment: str
    endpoint: str
    change: int
    target: str
    state: str
    attempts: int | None
    detail: str | None
    observed: list[RunningVariant]
    drifting: bool | None
    reports: int
    changed_at: datetime
    first_at: datetime | None
    at: datetime | None
    position: int | None


class ServingEndpoint(Resource):
    """An endpoint that serves a model, or is to serve it: what is wanted there, and what runs."""

    environment: str
    endpoint: str
    retired: bool
    state: str
    change: int | None
    since: datetime
    since_position: int
    desired: list[Variant]
    canary: Canary | None
    actual: list[Actual]


class Production(Resource):
    """One line of ``GET /v1/production``: what serves, since when, by whom and why, and what served before.

    ``version`` and all that is said of it are null for a model that is served by ``endpoints`` though no version of it
    is in production.
    """

    model: str
    version: str | None
    ordinal: int | None
    artifact: ArtifactRef | None
    since: datetime | None
    since_position: int | None
    actor: str | None
    reason: str | None
    previous_version: str | None
    endpoints: list[ServingEndpoint] = []


class Subscription(Resource):
    """``GET /v1/subscriptions/{subscription}``. Of secrets the fingerprints alone, of ``url`` the scheme and the host.

    Empty filters let everything through. One that was removed is as it was before.
    """

    subscription: str
    url: str
    types: list[str]
    models: list[str]
    streams: list[str]
    environments: list[str]
    actors: list[str]
    template: str
    description: str
    disabled: bool
    disabled_reason: str | None
    secrets: list[SecretKept]
    removed: bool
    created_at: datetime
    updated_at: datetime
    updated_by: str
    reason: str | None
    sequence: int
