"""Request bodies and answers of subscriptions: whom events are sent to.

Filters: an event is sent when it is in each of them, and an empty one lets every event through. A type may be short,
``version.promoted``, and ``*`` stands for any characters: ``endpoint.*``, ``endpoint/prod/*``.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from regista.wire.base import Name, Reason, Request, Secret, Text
from regista.wire.deployments import SecretKept
from regista.wire.resources import Written

Template: TypeAlias = Literal["cloudevents", "slack"]
Names: TypeAlias = Annotated[list[Name], Field(max_length=1_000)]
KeepSeconds: TypeAlias = Annotated[int, Field(ge=0, le=2_592_000)]


class CreateSubscription(Request):
    """``POST /v1/subscriptions``. Without ``id`` and ``secret`` they are made.

    ``url`` is where events are posted: whoever knows one can often post there too, so it is kept like a secret, and
    answers show its host alone. ``secret`` is ``whsec_`` with 24 to 64 random bytes in base64, as in Standard Webhooks.
    """

    url: Secret
    id: Name | None = None
    secret: Secret | None = None
    types: Names = []
    models: Names = []
    streams: Names = []
    environments: Names = []
    actors: Names = []
    template: Template = "cloudevents"
    description: Text = ""
    reason: Reason | None = None


class UpdateSubscription(Request):
    """``PATCH /v1/subscriptions/{subscription}``. What is left out stays; a filter that is given replaces the one before.

    ``disabled``: nothing is sent until it is false again; either way with a reason.
    """

    url: Secret | None = None
    types: Names | None = None
    models: Names | None = None
    streams: Names | None = None
    environments: Names | None = None
    actors: Names | None = None
    template: Template | None = None
    description: Text | None = None
    disabled: bool | None = None
    reason: Reason | None = None


class RotateSecret(Request):
    """``POST …/rotate``. Without ``secret`` one is made. Deliveries are signed with the one before as well, for a while."""

    secret: Secret | None = None
    keep_seconds: KeepSeconds = 86_400
    reason: Reason | None = None


class SubscriptionWritten(Written):
    """Answer of the writes on a subscription. One that was removed is told by its id alone.

    ``url`` is the scheme and the host of where it sends to. ``secret`` is what was made to sign with: it is answered this
    once, and never again, to a repeated request neither.
    """

    subscription: str
    removed: bool
    url: str | None = None
    types: list[str] = []
    models: list[str] = []
    streams: list[str] = []
    environments: list[str] = []
    actors: list[str] = []
    template: str | None = None
    description: str | None = None
    disabled: bool = False
    disabled_reason: str | None = None
    secrets: list[SecretKept] = []
    secret: str | None = None
