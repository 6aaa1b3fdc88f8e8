"""From the events of subscription streams to what the notifier knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, cast

from regista.notifier.filters import Filter
from regista.notifier.subscriptions import Secret, Subscription
from regista.work.logged import Logged

_STREAM = "subscription/"
_URL = "url"
_SIGNING = "signing"
_REMOVED = "regista.subscription.removed.v1"
_DESCRIBING = frozenset({"regista.subscription.created.v1", "regista.subscription.changed.v1"})


class Kept(Protocol):
    """A secret as events name it."""

    name: str
    id: str
    expires_at: datetime | None


class Described(Protocol):
    """What an event says that a subscription is from now on."""

    template: str
    types: Sequence[str]
    models: Sequence[str]
    streams: Sequence[str]
    environments: Sequence[str]
    actors: Sequence[str]
    disabled: bool
    secrets: Sequence[Kept]


def is_of_subscription(event: Logged) -> bool:
    """Whether an event is of a subscription's stream."""
    return event.stream.startswith(_STREAM)


def changed(event: Logged, known: Mapping[str, Subscription]) -> Subscription | None:
    """The subscription after an event of its stream; None where it says nothing that matters here."""
    id_ = event.stream.removeprefix(_STREAM)
    if event.event is None:
        return None
    if event.type == _REMOVED:
        before = known.get(id_)
        return None if before is None else replace(before, sequence=event.sequence, removed=True, secrets=(), gone=None)
    if event.type not in _DESCRIBING:
        return None
    said = cast("Described", event.event)
    return Subscription(
        id=id_,
        sequence=event.sequence,
        address=next((one.id for one in said.secrets if one.name == _URL), ""),
        template=said.template,
        filter=Filter(
            tuple(said.types), tuple(said.models), tuple(said.streams), tuple(said.environments), tuple(said.actors)
        ),
        secrets=tuple(Secret(one.id, one.expires_at) for one in said.secrets if one.name == _SIGNING),
        disabled=said.disabled,
    )
