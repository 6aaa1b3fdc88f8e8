"""``evolve``: the state of an endpoint after one more event. No rule is judged here: what happened, happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from typing import Any

from regista.domain import events as e
from regista.domain.endpoint.state import EMPTY, KEPT, Change, EndpointState, Report


def evolve(state: EndpointState, event: e.Event) -> EndpointState:
    """The state after ``event``, which is the next of the stream.

    Raises:
        KeyError: when no event of this type belongs to an endpoint stream.
    """
    return _EVOLVERS[type(event)](state, event)


def fold(events: Iterable[e.Event], state: EndpointState = EMPTY) -> EndpointState:
    """The state after all of ``events``."""
    return reduce(evolve, events, state)


def _created(state: EndpointState, event: e.EndpointCreated) -> EndpointState:
    """Anew after retirement: a rollback does not reach behind it."""
    return EndpointState(
        sequence=state.sequence + 1,
        environment=event.environment,
        name=event.endpoint,
        model=event.model,
        targets=event.targets,
        follow=event.follow,
        automatic=event.automatic,
        guardrails=event.guardrails,
        description=event.description,
        forgotten=state.sequence,
        ever_targets=state.ever_targets.union(map(str.lower, event.targets)),
        reports=state.reports,
    )


def _updated(state: EndpointState, event: e.EndpointUpdated) -> EndpointState:
    return replace(
        state,
        sequence=state.sequence + 1,
        targets=event.targets,
        follow=event.follow,
        automatic=event.automatic,
        guardrails=event.guardrails,
        description=event.description,
        ever_targets=state.ever_targets.union(map(str.lower, event.targets)),
    )


def _traffic_changed(state: EndpointState, event: e.TrafficChanged) -> EndpointState:
    sequence = state.sequence + 1
    change = Change(sequence, sequence, _shared(state, event.variants), state.change, event.canary is not None)
    return replace(_changed(state, change), canary=event.canary)


def _rolled_back(state: EndpointState, event: e.EndpointRolledBack) -> EndpointState:
    """The way back goes on from where the restored change stood, however it came to be restored."""
    restored = state.find(event.restores)
    change = Change(
        state.sequence + 1,
        event.restores,
        _shared(state, event.variants),
        None if restored is None else restored.before,
        restored is not None and restored.halfway,
    )
    left = set() if state.present is None else {state.present.origin}
    return replace(_changed(state, change), canary=None, rolled_back=(state.rolled_back | left) - {event.restores})


def _changed(state: EndpointState, change: Change) -> EndpointState:
    dropped = state.history[: max(len(state.history) + 1 - KEPT, 0)]
    history = (*state.history[len(dropped) :], change)
    rolled_back = state.rolled_back
    if dropped:
        rolled_back = frozenset(origin for origin in rolled_back if origin >= history[0].origin)
    return replace(
        state,
        sequence=change.sequence,
        history=history,
        forgotten=dropped[-1].sequence if dropped else state.forgotten,
        rolled_back=rolled_back,
        concluded=None,
    )


def _shared(state: EndpointState, variants: tuple[e.Variant, ...]) -> tuple[e.Variant, ...]:
    """The same variants, as one object with those served now where they are equal: histories are long."""
    known = {variant: variant for variant in state.variants}
    return tuple(known.get(variant, variant) for variant in variants)


def _follow_refused(state: EndpointState, _: e.FollowRefused) -> EndpointState:
    return replace(state, sequence=state.sequence + 1)


def _deployment_reported(state: EndpointState, event: e.DeploymentReported) -> EndpointState:
    """A late report on an older change does not hide what is known of a newer one."""
    target, sequence = event.target.lower(), state.sequence + 1
    newest = state.reports.get(target)
    if newest is not None and newest.change > event.change:
        return replace(state, sequence=sequence)
    return replace(state, sequence=sequence, reports={**state.reports, target: Report(event.change, event.state)})


def _experiment_concluded(state: EndpointState, event: e.ExperimentConcluded) -> EndpointState:
    return replace(state, sequence=state.sequence + 1, concluded=event.verdict)


def _retired(state: EndpointState, _: e.EndpointRetired) -> EndpointState:
    return replace(state, sequence=state.sequence + 1, retired_at=state.sequence + 1, canary=None, concluded=None)


_EVOLVERS: dict[type[e.Event], Callable[[EndpointState, Any], EndpointState]] = {
    e.EndpointCreated: _created,
    e.EndpointUpdated: _updated,
    e.TrafficChanged: _traffic_changed,
    e.EndpointRolledBack: _rolled_back,
    e.FollowRefused: _follow_refused,
    e.DeploymentReported: _deployment_reported,
    e.ExperimentConcluded: _experiment_concluded,
    e.EndpointRetired: _retired,
}
