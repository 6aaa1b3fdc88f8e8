"""``evolve``: the state of a target after one more event."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from regista.domain import events as e
from regista.domain.target.state import EMPTY, TargetState


def evolve(state: TargetState, event: e.Event) -> TargetState:
    """The state after ``event``, which is the next of the stream.

    Raises:
        KeyError: when no event of this type belongs to a target stream.
    """
    match event:
        case e.TargetCreated() | e.TargetChanged():
            return TargetState(
                state.sequence + 1,
                state.name or event.target,
                event.kind,
                event.description,
                event.settings,
                event.secrets,
            )
        case e.TargetRemoved():
            return TargetState(state.sequence + 1, state.name, removed=True)
        case _:
            raise KeyError(type(event))


def fold(events: Iterable[e.Event], state: TargetState = EMPTY) -> TargetState:
    """The state after all of ``events``."""
    return reduce(evolve, events, state)
