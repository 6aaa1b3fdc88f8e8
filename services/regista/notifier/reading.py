"""From the events of subscription streams to what the notifier knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from regista.domain.events import SubscriptionChanged, SubscriptionCreated, SubscriptionRemoved
from regista.domain.subscription.addresses import SIGNING, URL
from regista.notifier.filters import Filter
from regista.notifier.subscriptions import Secret, Subscription
from regista.work.logged import Logged

_STREAM = "subscription/"
TYPES = frozenset(event.TYPE for event in (SubscriptionCreated, SubscriptionChanged, SubscriptionRemoved))
"""The events that say something of subscriptions."""


def is_of_subscription(event: Logged) -> bool:
    """Whether an event is of a subscription's stream."""
    return event.stream.startswith(_STREAM)


def changed(event: Logged, known: Mapping[str, Subscription]) -> Subscription | None:
    """The subscription after an event of its stream; None where it says nothing that matters here."""
    id_ = event.stream.removeprefix(_STREAM)
    match event.event:
        case SubscriptionCreated() | SubscriptionChanged() as said:
            return Subscription(
                id=id_,
                sequence=event.sequence,
                address=next((one.id for one in said.secrets if one.name == URL), ""),
                template=said.template,
                filter=Filter(said.types, said.models, said.streams, said.environments, said.actors),
                secrets=tuple(Secret(one.id, one.expires_at) for one in said.secrets if one.name == SIGNING),
                disabled=said.disabled,
            )
        case SubscriptionRemoved() if id_ in known:
            return replace(known[id_], sequence=event.sequence, removed=True, address="", secrets=(), gone=None)
        case _:
            return None
