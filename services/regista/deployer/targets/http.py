"""Kind ``http``: what is wanted is sent to an address, as JSON, with an ``Idempotency-Key``.

Settings: ``url``, ``method`` (POST or PUT), ``headers``, ``observe_url`` (a GET that tells what is served), ``timeout``
in seconds. Secrets: ``token`` (sent as a bearer token) and ``signing_key`` (a Standard Webhooks secret; the call
is signed with it). The answer may tell what is served, as ``{"observed": [...]}`` in the form of the document's
variants. 409 with the code ``outdated`` says that a newer change is there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal, TypeAlias

import orjson
from pydantic import Field, ValidationInfo, field_validator
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError
from yarl import URL

from regista.artifacts.local_files import in_thread
from regista.deployer.targets.base import Applied, Target, TargetContext, TargetFailed, Wanted
from regista.deployer.targets.calls import Caller
from regista.deployer.targets.document import document, encoded, told
from regista.deployer.targets.guard import Guard
from regista.deployer.targets.options import Options, bad_target, checked_address, read
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import Reason
from regista.outbound.client import Answer

_SECRETS = {"token": "a bearer token", "signing_key": "a Standard Webhooks secret, whsec_…"}
_OURS = frozenset({"authorization", "content-type", "content-length", "host", "idempotency-key", "transfer-encoding"})
HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue: TypeAlias = Annotated[str, Field(pattern=r"^[ -~]*$")]


class HttpOptions(Options):
    """Where to, and how."""

    url: str
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    observe_url: str | None = None
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0

    @field_validator("url", "observe_url")
    @classmethod
    def _address(cls, value: str | None, info: ValidationInfo) -> str | None:
        return value if value is None or info.context is None else checked_address(value, info.context)

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := sorted(name for name in value if name.lower() in _OURS or name.lower().startswith("webhook-")):
            msg = f"{', '.join(taken)} is set by the call itself"
            raise ValueError(msg)
        return value


class HttpTarget:
    """A service of somebody's that takes what is wanted and makes it so."""

    def __init__(self, context: TargetContext, options: HttpOptions, signer: Webhook | None) -> None:
        self._options = options
        self._signer = signer
        self._token = context.secrets.get("token")
        self._guard = Guard(context.data / "newest")
        self._caller = Caller(f"target {context.name}", allow_private=context.allow_private, within=options.timeout)

    async def apply(self, wanted: Wanted) -> Applied:
        """Send it."""
        await in_thread(self._guard.admit, wanted)
        content = encoded(document(wanted))
        headers = {
            **self._headers(),
            **self._signature(wanted.idempotency_key, content),
            "Content-Type": "application/json",
            "Idempotency-Key": wanted.idempotency_key,
        }
        answer = await self._caller.answer(self._options.method, self._options.url, headers=headers, content=content)
        if answer.status == HTTPStatus.CONFLICT and _says_outdated(answer):
            raise TargetFailed(f"{wanted} is outdated there", code="outdated", retryable=False)
        if not answer.taken:
            raise self._caller.failed(answer)
        return Applied(told(answer.body, self._options.url) or (), f"answered {answer.status}")

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...] | None:
        """What ``observe_url`` tells, asked with the parameters ``environment`` and ``endpoint``."""
        if self._options.observe_url is None:
            return None
        url = URL(self._options.observe_url).update_query(environment=environment, endpoint=endpoint)
        answer = await self._caller.call("GET", str(url), headers=self._headers())
        return told(answer.body, self._options.observe_url)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    def _headers(self) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return {"Accept": "application/json", **self._options.headers, **bearer}

    def _signature(self, message: str, content: bytes) -> dict[str, str]:
        if self._signer is None:
            return {}
        now = datetime.now(UTC)
        return {
            "Webhook-Id": message,
            "Webhook-Timestamp": str(int(now.timestamp())),
            "Webhook-Signature": self._signer.sign(message, now, content.decode()),
        }


def open_http(context: TargetContext) -> Target:
    """The kind ``http``."""
    options = read(HttpOptions, context, secrets=_SECRETS)
    signer = None
    if key := context.secrets.get("signing_key"):
        try:
            signer = Webhook(key)
        except (ValueError, RuntimeError, EmptyWebhookSecretError) as error:
            hint = "whsec_ and base64, as a Standard Webhooks library makes it."
            raise bad_target(
                context.name,
                [Reason("bad_secret", f"the signing key cannot be used: {error}", "secrets.signing_key", hint)],
            ) from error
    return HttpTarget(context, options, signer)


def _says_outdated(answer: Answer) -> bool:
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.get("code") == "outdated"
