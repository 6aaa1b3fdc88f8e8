"""From request bodies to commands on environments, targets and endpoints: percentages become whole hundredths."""

from __future__ import annotations

from regista.domain.commands import UNSET
from regista.domain.endpoint import commands as c
from regista.domain.environment import commands as environments
from regista.domain.events import CanaryStep, Guardrail, Measured
from regista.domain.secrets import GivenSecret
from regista.domain.target import commands as targets
from regista.registrar.conversion import json_text
from regista.wire import deployments as q
from regista.wire.deployments import hundredths


def define_environment(environment: str, body: q.DefineEnvironment) -> environments.DefineEnvironment:
    """``PUT /v1/environments/{environment}``."""
    return environments.DefineEnvironment(environment, tuple(body.stages), tuple(body.regions), body.description)


def roll_back_environment(environment: str, body: q.RollBackEnvironment) -> environments.RollBackEnvironment:
    """``POST …/rollback``."""
    return environments.RollBackEnvironment(environment, body.at)


def put_target(target: str, body: q.PutTarget) -> targets.PutTarget:
    """``PUT /v1/targets/{target}``."""
    given = tuple(GivenSecret(name) for name, value in body.secrets.items() if value is not None)
    forget = tuple(name for name, value in body.secrets.items() if value is None)
    return targets.PutTarget(target, body.kind, json_text(body.settings, "settings"), given, body.description, forget)


def target_secrets(body: q.PutTarget) -> dict[str, str | None]:
    """What is given in the body of ``PUT /v1/targets/{target}``."""
    return {name: value.get_secret_value() for name, value in body.secrets.items() if value is not None}


def create_endpoint(body: q.CreateEndpoint) -> c.CreateEndpoint:
    """``POST /v1/endpoints``."""
    return c.CreateEndpoint(
        environment=body.environment,
        endpoint=body.name,
        model=body.model,
        targets=tuple(body.targets),
        follow=body.follow,
        automatic=body.automatic,
        guardrails=tuple(map(_guardrail, body.guardrails)),
        description=body.description,
    )


def update_endpoint(environment: str, endpoint: str, body: q.UpdateEndpoint) -> c.UpdateEndpoint:
    """``PATCH /v1/endpoints/{environment}/{endpoint}``."""
    return c.UpdateEndpoint(
        environment,
        endpoint,
        targets=None if body.targets is None else tuple(body.targets),
        follow=body.follow if "follow" in body.model_fields_set else UNSET,
        automatic=body.automatic,
        guardrails=None if body.guardrails is None else tuple(map(_guardrail, body.guardrails)),
        description=body.description,
    )


def change_traffic(environment: str, endpoint: str, body: q.ChangeTraffic) -> c.ChangeTraffic:
    """``PUT …/traffic``."""
    return c.ChangeTraffic(
        environment,
        endpoint,
        variants=tuple(map(_variant, body.variants)),
        canary=tuple(CanaryStep(hundredths(s.weight), s.hold_seconds, s.minimum_requests) for s in body.canary),
        promote=body.promote,
        advance=body.advance,
        expect_change=expected_change(body),
    )


def roll_back_endpoint(environment: str, endpoint: str, body: q.RollBackEndpoint) -> c.RollBackEndpoint:
    """``POST …/rollback``."""
    return c.RollBackEndpoint(environment, endpoint, body.to, expected_change(body))


def follow_version(environment: str, endpoint: str, body: q.FollowVersion) -> c.FollowVersion:
    """``POST …/follow``."""
    return c.FollowVersion(environment, endpoint, body.followed, body.version)


def report_deployment(environment: str, endpoint: str, body: q.ReportDeployment) -> c.ReportDeployment:
    """``POST …/reports``."""
    observed = tuple(
        c.ObservedVariant(v.artifact_digest, v.role, hundredths(v.weight), hundredths(v.mirror), v.region)
        for v in body.observed
    )
    return c.ReportDeployment(
        environment, endpoint, body.target, body.change, body.state, observed, body.detail, body.attempts
    )


def conclude_experiment(environment: str, endpoint: str, body: q.ConcludeExperiment) -> c.ConcludeExperiment:
    """``POST …/conclude``."""
    measured = tuple(Measured(m.version, m.region, m.metric, m.value, m.samples, m.limit) for m in body.measured)
    return c.ConcludeExperiment(
        environment, endpoint, body.change, body.verdict, measured, tuple(body.explanation), body.step
    )


def expected_change(body: q.ChangeTraffic | q.RollBackEndpoint) -> c.ChangeExpectation:
    """``expect_change``: null means none, left out means whichever."""
    return body.expect_change if "expect_change" in body.model_fields_set else UNSET


def _variant(body: q.VariantRequest) -> c.VariantRequest:
    mirror = None if body.mirror is None else hundredths(body.mirror)
    return c.VariantRequest(body.version, hundredths(body.weight), body.role, body.region, mirror, body.digest)


def _guardrail(body: q.Guardrail) -> Guardrail:
    return Guardrail(body.metric, body.limit, body.relative_to_champion, body.value, body.minimum_samples)
