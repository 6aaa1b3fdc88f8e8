"""``evolve``: the state of a subscription after one more event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import reduce
from operator import attrgetter
from typing import Final

from regista.domain import events as e
from regista.domain.subscription.state import EMPTY, SubscriptionState

_FIELDS: Final = attrgetter(*(field.name for field in fields(e.Subscribed)))


def evolve(state: SubscriptionState, event: e.Event) -> SubscriptionState:
    """The state after ``event``, which is the next of the stream.

    Raises:
        KeyError: when no event of this type belongs to a subscription stream.
    """
    match event:
        case e.SubscriptionCreated() | e.SubscriptionChanged():
            return SubscriptionState(
                state.sequence + 1, state.name or event.subscription, e.Subscribed(*_FIELDS(event))
            )
        case e.SubscriptionRemoved():
            return SubscriptionState(state.sequence + 1, state.name, removed=True)
        case _:
            raise KeyError(type(event))


def fold(events: Iterable[e.Event], state: SubscriptionState = EMPTY) -> SubscriptionState:
    """The state after all of ``events``."""
    return reduce(evolve, events, state)
