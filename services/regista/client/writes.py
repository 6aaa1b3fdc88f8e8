"""What can be done to a registry. Every write is made once, however often it has to be sent.

All take ``if_match`` (the sequence that the resource must still have) and ``command_id`` (the idempotency key; a new
one unless given). ``expect_current`` names the version number that must hold the stage or alias now, None: nobody; left
out: whoever. All can be rehearsed: ``client.promote.dry_run(…)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, SupportsFloat

from pydantic import BaseModel

from regista.client.bind import write
from regista.client.calls import IfMatch, Structure, Write
from regista.client.deployments import DeploymentWrites
from regista.client.session import expecting, given, path
from regista.client.subscriptions import SubscriptionWrites
from regista.domain.commands import UNSET, Expectation, Unset
from regista.wire.resources import AliasWritten, ModelWritten, VersionWritten

if TYPE_CHECKING:
    from regista.wire import requests  # a tenth of the SDK's loading time, for types alone


class Writes(DeploymentWrites, SubscriptionWrites):
    """The commands, of both clients: those on models here, the others in ``deployments`` and ``subscriptions``."""

    @write
    def create_model(
        self,
        model: str,
        *,
        title: str | None = None,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str] | None = None,
        policy: str | None = None,
        reason: str | None = None,
        command_id: str | None = None,
    ) -> Write[ModelWritten]:
        """Take a name."""
        body = given(
            name=model, title=title, description=description, owner=owner, tags=tags, policy=policy, reason=reason
        )
        return Write(ModelWritten, "POST", path("models"), body, command_id=command_id)

    @write
    def update_model(
        self,
        model: str,
        *,
        title: str | None = None,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        policy: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[ModelWritten]:
        """Change what describes a model. Tags are merged; one whose value is None is removed."""
        body = given(title=title, description=description, owner=owner, tags=tags, policy=policy, reason=reason)
        return Write(ModelWritten, "PATCH", path("models", model), body, if_match=if_match, command_id=command_id)

    @write
    def retire_model(
        self,
        model: str,
        *,
        reason: str,
        leave_empty: bool = False,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[ModelWritten]:
        """Take no more writes. The name and the numbers stay taken; ``leave_empty`` where something is in production."""
        query = {"reason": reason, "leave_empty": leave_empty or None}
        return Write(ModelWritten, "DELETE", path("models", model), None, query, if_match, command_id)

    @write
    def revive_model(
        self, model: str, *, reason: str | None = None, if_match: IfMatch = None, command_id: str | None = None
    ) -> Write[ModelWritten]:
        """Take writes again."""
        target = path("models", model, "revive")
        return Write(ModelWritten, "POST", target, given(reason=reason), if_match=if_match, command_id=command_id)

    @write
    def register_version(
        self,
        model: str,
        body: requests.RegisterVersion | Structure,
        *,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Register a version from a complete request. ``register`` does so from a path and a run."""
        content = body.model_dump(exclude_unset=True) if isinstance(body, BaseModel) else dict(body)
        target = path("models", model, "versions")
        return Write(VersionWritten, "POST", target, content, if_match=if_match, command_id=command_id)

    @write
    def update_version(
        self,
        model: str,
        ref: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        model_card: str | None = None,
        code: requests.Code | Structure | None = None,
        datasets: Sequence[requests.Dataset | Structure] | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        author: str | None = None,
        trained_at: datetime | None = None,
        waive: Sequence[str] | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Change what describes a version; complete an incomplete import, or waive what it lacks, with a reason."""
        body = given(
            description=description,
            tags=tags,
            model_card=model_card,
            code=code,
            datasets=datasets,
            metrics=metrics,
            author=author,
            trained_at=trained_at,
            waive=waive,
            reason=reason,
        )
        target = path("models", model, "versions", ref)
        return Write(VersionWritten, "PATCH", target, body, if_match=if_match, command_id=command_id)

    @write
    def promote(
        self,
        model: str,
        ref: str,
        *,
        to: str,
        reason: str,
        keep_existing: bool = False,
        expect_current: Expectation = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Bring a version into a stage. Whoever holds it goes to archived, unless ``keep_existing``."""
        body = expecting(given(to=to, reason=reason, keep_existing=keep_existing), expect_current)
        target = path("models", model, "versions", ref, "promote")
        return Write(VersionWritten, "POST", target, body, if_match=if_match, command_id=command_id)

    @write
    def rollback(
        self,
        model: str,
        *,
        reason: str,
        to: str | None = None,
        stage: str = "production",
        expect_current: Expectation = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Bring a stage back to the version that held it before, or to any earlier holder with ``to``."""
        body = expecting(given(stage=stage, to=to, reason=reason), expect_current)
        target = path("models", model, "rollback")
        return Write(VersionWritten, "POST", target, body, if_match=if_match, command_id=command_id)

    @write
    def archive(
        self,
        model: str,
        ref: str,
        *,
        reason: str,
        leave_empty: bool = False,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Take a version out of the life cycle. ``leave_empty`` where it is all that is in production."""
        body = given(reason=reason, leave_empty=leave_empty)
        target = path("models", model, "versions", ref, "archive")
        return Write(VersionWritten, "POST", target, body, if_match=if_match, command_id=command_id)

    @write
    def evaluate(
        self,
        model: str,
        ref: str,
        metrics: Mapping[str, SupportsFloat],
        *,
        dataset: requests.Dataset | Structure | str | None = None,
        slice: str | None = None,  # noqa: A002 - the name in the API
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Add metrics to a version, measured on a data set and maybe a slice of it."""
        source = {"name": dataset} if isinstance(dataset, str) else dataset
        body = given(metrics=metrics, dataset=source, slice=slice, reason=reason)
        target = path("models", model, "versions", ref, "evaluations")
        return Write(VersionWritten, "POST", target, body, if_match=if_match, command_id=command_id)

    @write
    def check(
        self,
        model: str,
        ref: str,
        name: str,
        status: Literal["passed", "failed", "running"],
        *,
        url: str | None = None,
        summary: str | None = None,
        reason: str | None = None,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[VersionWritten]:
        """Report the status of a named check. A failed one blocks promotion until the same check passes."""
        body = given(name=name, status=status, url=url, summary=summary, reason=reason)
        target = path("models", model, "versions", ref, "checks")
        return Write(VersionWritten, "POST", target, body, if_match=if_match, command_id=command_id)

    @write
    def set_alias(
        self,
        model: str,
        alias: str,
        ref: str,
        *,
        reason: str | None = None,
        expect_current: Expectation = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[AliasWritten]:
        """Point an alias at a version."""
        body = expecting(given(version=ref, reason=reason), expect_current)
        target = path("models", model, "aliases", alias)
        return Write(AliasWritten, "PUT", target, body, if_match=if_match, command_id=command_id)

    @write
    def remove_alias(
        self,
        model: str,
        alias: str,
        *,
        reason: str | None = None,
        expect_current: str | Literal[Unset.UNSET] = UNSET,
        if_match: IfMatch = None,
        command_id: str | None = None,
    ) -> Write[AliasWritten]:
        """Remove an alias."""
        query = given(reason=reason, expect_current=expect_current)
        target = path("models", model, "aliases", alias)
        return Write(AliasWritten, "DELETE", target, None, query, if_match, command_id)
