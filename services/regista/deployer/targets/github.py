"""Kind ``github``: what is wanted is sent as a ``repository_dispatch`` event, and a workflow does the rest.

Settings: ``repository`` (owner/name), ``event_type``, ``api_url`` (of a GitHub Enterprise server), ``timeout``. Secret:
``token``, with the right to write contents. The document is ``client_payload.deployment``: GitHub takes ten fields at the
top. What became of it cannot be seen from here: the workflow reports with ``POST …/reports``.
"""

from __future__ import annotations

import time
from typing import Annotated

import orjson
from pydantic import Field, ValidationInfo, field_validator

from regista.artifacts.local_files import in_thread
from regista.deployer.targets.base import Applied, Target, TargetContext, TargetFailed, Wanted
from regista.deployer.targets.calls import Caller
from regista.deployer.targets.document import document
from regista.deployer.targets.guard import Guard
from regista.deployer.targets.options import Options, bad_target, checked_address, read
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import Reason
from regista.outbound.client import Answer

_SECRETS = {"token": "of a user or an app that may write the contents of the repository"}
_PAYLOAD_LIMIT = 65_535
"""Characters of ``client_payload``."""
_LONGEST = 3600.0


class GitHubOptions(Options):
    """Which repository, and the name of the event that its workflows wait for."""

    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
    event_type: Annotated[str, Field(min_length=1, max_length=100)] = "regista-deployment"
    api_url: str = "https://api.github.com"
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0

    @field_validator("api_url")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        return (checked_address(value, info.context) if info.context else value).rstrip("/")


class GitHubTarget:
    """One repository. Fire and forget: GitHub answers that it has taken the event, no more."""

    def __init__(self, context: TargetContext, options: GitHubOptions) -> None:
        self._options = options
        self._token = context.secrets["token"]
        self._guard = Guard(context.data / "newest")
        self._caller = Caller(
            f"GitHub ({options.repository})", allow_private=context.allow_private, within=options.timeout
        )

    async def apply(self, wanted: Wanted) -> Applied:
        """Send the event. A workflow that gets it twice finds the same ``idempotency_key`` in it."""
        await in_thread(self._guard.admit, wanted)
        payload = {"deployment": document(wanted)}
        if len(orjson.dumps(payload)) > _PAYLOAD_LIMIT:
            raise TargetFailed(
                f"{wanted} is too large for GitHub: {_PAYLOAD_LIMIT} characters", code="too_large", retryable=False
            )
        answer = await self._caller.answer(
            "POST",
            f"{self._options.api_url}/repos/{self._options.repository}/dispatches",
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            content=orjson.dumps({"event_type": self._options.event_type, "client_payload": payload}),
        )
        if not answer.taken:
            raise self._failed(answer)
        return Applied((), f"{self._options.repository} was told by {self._options.event_type}")

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...] | None:
        """It cannot be told."""
        del environment, endpoint
        return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    def _failed(self, answer: Answer) -> TargetFailed:
        """GitHub says with 403 too that there were too many calls (Rate limits for the REST API)."""
        failed = self._caller.failed(answer)
        exhausted = answer.headers.get("X-RateLimit-Remaining") == "0"
        limited = answer.status in {403, 429} and (exhausted or "Retry-After" in answer.headers)
        if not limited:
            return failed
        reset = answer.headers.get("X-RateLimit-Reset", "")
        wait = failed.retry_after
        if wait is None and reset.isdigit():
            wait = min(max(int(reset) - time.time(), 1.0), _LONGEST)
        return TargetFailed(
            f"{failed.detail} (rate limit)", code="rate_limited", retryable=True, retry_after=wait or 60.0
        )


def open_github(context: TargetContext) -> Target:
    """The kind ``github``."""
    options = read(GitHubOptions, context, secrets=_SECRETS)
    if not context.secrets.get("token"):
        hint = f"PUT /v1/targets/{context.name} with secrets.token"
        raise bad_target(context.name, [Reason("missing_secret", "a token is needed", "secrets.token", hint)])
    return GitHubTarget(context, options)
