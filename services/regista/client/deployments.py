"""What can be done to what serves models: environments, targets, endpoints, and what is told of them.

All take what every write takes (``regista.client.writes``), and ``cause``: the event that led to this, as
``<stream>@<sequence>``; it is kept in the event. Shares are percentages with up to two decimals. ``expect_change`` is
the sequence that the endpoint's newest change must have, None: there must be none; left out: whichever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from regista.client.bind import read, write
from regista.client.calls import IfMatch, Structure, Write
from regista.client.session import given, path, query_text
from regista.domain.commands import UNSET, Unset

if TYPE_CHECKING:
    from regista.wire import deployment_reports as w
    from regista.wire import deployments as d  # a tenth of the SDK's loading time, for types alone

ExpectChange: TypeAlias = int | Literal[Unset.UNSET] | None


class DeploymentWrites:
    """The commands on environments, targets and endpoints, of both clients."""

    @write
    def define_environment(
        self,
        environment: str,
        *,
        stages: Sequence[str],
        regions: Sequence[str] | None = None,
        description: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EnvironmentWritten]:
        """Say all of what an environment is: the stages that it may serve, and its regions; none: it is one place."""
        body = given(stages=stages, regions=regions, description=description, reason=reason)
        target = path("environments", environment)
        return Write(_wire().EnvironmentWritten, "PUT", target, body, {}, if_match, command_id, cause)

    @write
    def roll_back_environment(
        self,
        environment: str,
        *,
        at: int | str | datetime,
        reason: str,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.RollbackWritten]:
        """Bring all its endpoints, and the stages that it serves, back to what they were at a moment: all or nothing."""
        body = given(at=query_text("at", at), reason=reason)
        target = path("environments", environment, "rollback")
        return Write(_wire().RollbackWritten, "POST", target, body, {}, if_match, command_id, cause)

    @write
    def put_target(
        self,
        target: str,
        *,
        kind: str,
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str | None] | None = None,
        description: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.TargetWritten]:
        """Say all of what a target is, but for secrets: one that is left out stays while the kind does, None forgets it.

        They are kept apart from ``settings``; nobody reads them back, answers have their fingerprints. Over Kafka none
        is taken.
        """
        body = given(kind=kind, settings=settings, secrets=secrets, description=description, reason=reason)
        where = path("targets", target)
        return Write(_wire().TargetWritten, "PUT", where, body, {}, if_match, command_id, cause)

    @write
    def remove_target(
        self,
        target: str,
        *,
        reason: str,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.TargetWritten]:
        """Remove a target that no endpoint is deployed to."""
        where = path("targets", target)
        return Write(_wire().TargetWritten, "DELETE", where, None, given(reason=reason), if_match, command_id, cause)

    @write
    def create_endpoint(
        self,
        environment: str,
        endpoint: str,
        *,
        model: str,
        targets: Sequence[str] = (),
        follow: str | None = None,
        automatic: bool = False,
        guardrails: Sequence[d.Guardrail | Structure] = (),
        description: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EndpointWritten]:
        """Take a name for versions of a model. ``follow`` (``@production``) is what it serves by itself.

        ``automatic``: canary steps go on, and what breaks a guardrail is rolled back, without a person.
        """
        body = given(
            environment=environment,
            name=endpoint,
            model=model,
            targets=targets,
            follow=follow,
            automatic=automatic,
            guardrails=guardrails,
            description=description,
            reason=reason,
        )
        return Write(_wire().EndpointWritten, "POST", path("endpoints"), body, {}, if_match, command_id, cause)

    @write
    def update_endpoint(
        self,
        environment: str,
        endpoint: str,
        *,
        targets: Sequence[str] | None = None,
        follow: str | Literal[Unset.UNSET] | None = UNSET,
        automatic: bool | None = None,
        guardrails: Sequence[d.Guardrail | Structure] | None = None,
        description: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EndpointWritten]:
        """Change what describes an endpoint; what is left out stays. ``follow`` None: it follows nothing."""
        body = given(
            targets=targets, automatic=automatic, guardrails=guardrails, description=description, reason=reason
        )
        if follow is not UNSET:
            body["follow"] = follow
        target = path("endpoints", environment, endpoint)
        return Write(_wire().EndpointWritten, "PATCH", target, body, {}, if_match, command_id, cause)

    @write
    def change_traffic(
        self,
        environment: str,
        endpoint: str,
        variants: Mapping[str, float] | Sequence[d.VariantRequest | Structure] = (),
        *,
        canary: Sequence[d.CanaryStep | Structure] = (),
        promote: str | None = None,
        advance: bool = False,
        reason: str,
        expect_change: ExpectChange = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EndpointWritten]:
        """Say what is to be served: the whole set, or one version alone, or the next step of the canary under way.

        ``variants`` is the whole set, as weights by version (``{"1.4.0": 90, "1.5.0": 10}``) where nothing else is to
        be said of them; ``canary`` is the schedule of the one that comes in. ``promote`` gives a version everything.
        """
        whole = variants
        if isinstance(variants, Mapping):
            whole = [{"version": ref, "weight": weight} for ref, weight in variants.items()]
        body = given(
            variants=whole or None, canary=canary or None, promote=promote, advance=advance or None, reason=reason
        )
        target = path("endpoints", environment, endpoint, "traffic")
        return Write(
            _wire().EndpointWritten, "PUT", target, _at_change(body, expect_change), {}, if_match, command_id, cause
        )

    @write
    def roll_back_endpoint(
        self,
        environment: str,
        endpoint: str,
        *,
        reason: str,
        to: int | None = None,
        expect_change: ExpectChange = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EndpointWritten]:
        """Serve again what was served before, or what the change of sequence ``to`` said."""
        body = _at_change(given(to=to, reason=reason), expect_change)
        target = path("endpoints", environment, endpoint, "rollback")
        return Write(_wire().EndpointWritten, "POST", target, body, {}, if_match, command_id, cause)

    @write
    def follow_version(
        self,
        environment: str,
        endpoint: str,
        *,
        followed: str,
        version: str | None = None,
        reason: str,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EndpointWritten]:
        """Serve what the stage or alias that the endpoint follows names now.

        ``version`` is what it named when it was seen to move. One that the rules do not let in is no error: the answer
        has it as ``refused``, and what is served stays.
        """
        body = given(followed=followed, version=version, reason=reason)
        target = path("endpoints", environment, endpoint, "follow")
        return Write(_wire().EndpointWritten, "POST", target, body, {}, if_match, command_id, cause)

    @write
    def report_deployment(
        self,
        environment: str,
        endpoint: str,
        *,
        target: str,
        change: int,
        state: Literal["succeeded", "failed", "superseded"],
        observed: Sequence[d.ObservedVariant | Structure] = (),
        detail: str | None = None,
        attempts: int = 1,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.ReportWritten]:
        """Tell what became of a change on a target, and what runs there."""
        body = given(
            target=target,
            change=change,
            state=state,
            observed=observed,
            detail=detail,
            attempts=attempts,
            reason=reason,
        )
        where = path("endpoints", environment, endpoint, "reports")
        return Write(_wire().ReportWritten, "POST", where, body, {}, if_match, command_id, cause)

    @read
    def report_deployments(self, reports: Sequence[w.DeploymentReport | Structure]) -> Write[w.ReportOutcomes]:
        """Tell of many deployments in one request, 500 at most; each is taken or refused by itself.

        Each has its own ``idempotency_key``, under which it counts once, however often it is sent.
        """
        from regista.wire.deployment_reports import ReportOutcomes  # noqa: PLC0415 - only those who deploy load it

        return Write(ReportOutcomes, "POST", path("deployment-reports"), {"reports": list(reports)})

    @write
    def conclude_experiment(
        self,
        environment: str,
        endpoint: str,
        *,
        change: int,
        verdict: Literal["proceed", "promote", "roll_back", "inconclusive"],
        measured: Sequence[d.Measured | Structure] = (),
        explanation: Sequence[str] = (),
        step: int | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.ConclusionWritten]:
        """Record what the variants of the present change were found to be worth. It changes nothing by itself."""
        body = given(
            change=change, verdict=verdict, measured=measured, explanation=explanation, step=step, reason=reason
        )
        where = path("endpoints", environment, endpoint, "conclude")
        return Write(_wire().ConclusionWritten, "POST", where, body, {}, if_match, command_id, cause)

    @write
    def retire_endpoint(
        self,
        environment: str,
        endpoint: str,
        *,
        reason: str,
        expect_change: int | Literal[Unset.UNSET] = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Write[d.EndpointWritten]:
        """Serve nothing any more."""
        query = given(reason=reason, expect_change=expect_change)
        target = path("endpoints", environment, endpoint)
        return Write(_wire().EndpointWritten, "DELETE", target, None, query, if_match, command_id, cause)


def _wire() -> Any:  # noqa: ANN401 - the module of the answers, which only those who deploy have to load
    from regista.wire import deployments  # noqa: PLC0415 - as above

    return deployments


def _at_change(body: dict[str, object], expect_change: ExpectChange) -> dict[str, object]:
    """The body with ``expect_change``; None is a value here: there must be none yet."""
    return body if expect_change is UNSET else {**body, "expect_change": expect_change}
