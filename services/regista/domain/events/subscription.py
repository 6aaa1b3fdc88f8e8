"""The events of the subscription stream: somebody whom events are sent to. No address and no secret stands in any of them.

An address is often a secret itself (whoever knows it can post), and can belong to a person. So ``url`` is its scheme and
its host alone; the whole of it is the secret called ``url``. Deliveries are signed with the secrets called ``signing``,
the newest first; of two, the second is the one before, which counts until it expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regista.domain.events.base import Event
from regista.domain.events.target import SecretRef


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What a subscription was: the fields have the meaning that they have in ``SubscriptionCreated``."""

    url: str
    types: tuple[str, ...]
    models: tuple[str, ...]
    streams: tuple[str, ...]
    environments: tuple[str, ...]
    actors: tuple[str, ...]
    template: str
    description: str
    disabled: bool
    disabled_reason: str | None
    secrets: tuple[SecretRef, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionCreated(Event):
    """Events are sent from now on.

    ``types``, ``models``, ``streams``, ``environments`` and ``actors`` say which: those that are in each of them; an empty
    one lets every event through. ``template`` is the form of what is sent.
    """

    TYPE: ClassVar[str] = "regista.subscription.created.v1"
    subscription: str
    url: str
    types: tuple[str, ...]
    models: tuple[str, ...]
    streams: tuple[str, ...]
    environments: tuple[str, ...]
    actors: tuple[str, ...]
    template: str
    description: str
    disabled: bool
    disabled_reason: str | None
    secrets: tuple[SecretRef, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionChanged(Event):
    """The subscription as a whole from now on, and as it was before."""

    TYPE: ClassVar[str] = "regista.subscription.changed.v1"
    subscription: str
    url: str
    types: tuple[str, ...]
    models: tuple[str, ...]
    streams: tuple[str, ...]
    environments: tuple[str, ...]
    actors: tuple[str, ...]
    template: str
    description: str
    disabled: bool
    disabled_reason: str | None
    secrets: tuple[SecretRef, ...]
    previous: Subscribed


@dataclass(frozen=True, slots=True)
class SubscriptionRemoved(Event):
    """Nothing is sent any more, and the id stays taken. What it was before."""

    TYPE: ClassVar[str] = "regista.subscription.removed.v1"
    subscription: str
    previous: Subscribed
