"""``evolve``: the state of an environment after one more event."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from regista.domain import events as e
from regista.domain.environment.state import EMPTY, EnvironmentState


def evolve(state: EnvironmentState, event: e.Event) -> EnvironmentState:
    """The state after ``event``, which is the next of the stream.

    Raises:
        KeyError: when no event of this type belongs to an environment stream.
    """
    if not isinstance(event, e.EnvironmentDefined):
        raise KeyError(type(event))
    return EnvironmentState(
        state.sequence + 1, state.name or event.environment, event.description, event.stages, event.regions
    )


def fold(events: Iterable[e.Event], state: EnvironmentState = EMPTY) -> EnvironmentState:
    """The state after all of ``events``."""
    return reduce(evolve, events, state)
