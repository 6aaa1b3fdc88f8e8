"""The commands of subscriptions: whom events are sent to.

``url`` is the scheme and the host of an address alone; the whole of it comes as the secret ``url``, and what deliveries
are signed with as the secret ``signing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from regista.domain.secrets import GivenSecret

DAY = 86_400


@dataclass(frozen=True, slots=True)
class CreateSubscription:
    """Send events from now on. Each of the filters lets everything through while it is empty."""

    subscription: str
    url: str
    types: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    template: str = "cloudevents"
    description: str = ""
    secrets: tuple[GivenSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateSubscription:
    """Change a subscription. None: leave alone; a filter that is given replaces the one before."""

    subscription: str
    url: str | None = None
    types: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None
    environments: tuple[str, ...] | None = None
    actors: tuple[str, ...] | None = None
    template: str | None = None
    description: str | None = None
    disabled: bool | None = None
    secrets: tuple[GivenSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class RotateSubscriptionSecret:
    """Sign with another secret; the one before counts for ``keep_seconds`` more."""

    subscription: str
    keep_seconds: int = DAY
    secrets: tuple[GivenSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveSubscription:
    """Send nothing any more."""

    subscription: str


Command: TypeAlias = CreateSubscription | UpdateSubscription | RotateSubscriptionSecret | RemoveSubscription
