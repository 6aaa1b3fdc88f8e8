"""What follows from an event for the targets of endpoints: pure, the same from whichever feed the events come.

Each answer says what an endpoint is from now on, and what its targets have to be given because of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from regista.domain import events as e
from regista.work.logged import Logged


@dataclass(frozen=True, slots=True)
class Change:
    """An event that says what is served: where it stands, who made it and why."""

    sequence: int
    position: int
    place: str
    actor: str
    reason: str | None
    time: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an endpoint wants. ``stream`` is its key; ``change`` None: nothing was ever to be served.

    ``order`` rises with whatever its targets are given: a target tells by it what is newer.
    """

    stream: str
    environment: str
    name: str
    model: str
    targets: tuple[str, ...]
    variants: tuple[e.Variant, ...] = ()
    change: Change | None = None
    order: int = 0
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """What one target is to be given for one endpoint, because of the event at ``position``.

    ``change`` is what is reported on; ``cause`` the event, as ``<stream>@<sequence>``. No ``variants``: serve nothing.
    """

    position: int
    log_id: str
    stream: str
    environment: str
    endpoint: str
    model: str
    target: str
    order: int
    change: int
    variants: tuple[e.Variant, ...]
    actor: str
    reason: str | None
    time: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class TargetDefinition:
    """What a target is. ``removed``: it takes nothing new; what was under way is finished, or given up once it is late."""

    name: str
    kind: str
    settings: str
    secrets: tuple[e.SecretRef, ...]
    removed: bool = False


def of_endpoint(before: Endpoint | None, logged: Logged) -> tuple[Endpoint | None, tuple[Intent, ...]]:
    """The endpoint after an event of its stream, and what its targets have to be given."""
    match logged.event:
        case e.EndpointCreated() as created:
            # The numbers go on after retirement, so that what a target was given before is older.
            return Endpoint(
                logged.stream, created.environment, created.endpoint, created.model, created.targets,
                order=logged.sequence,
            ), ()  # fmt: skip
        case _ if before is None:
            return None, ()
        case e.EndpointUpdated() as updated:
            return _updated(before, updated, logged)
        case e.TrafficChanged(variants=variants) | e.EndpointRolledBack(variants=variants):
            return _changed(replace(before, variants=variants), logged)
        case e.EndpointRetired():
            if before.change is None:
                return replace(before, retired=True), ()
            return _changed(replace(before, variants=(), retired=True), logged)
        case _:
            return before, ()


def of_target(
    before: TargetDefinition | None, users: Iterable[Endpoint], logged: Logged
) -> tuple[TargetDefinition | None, tuple[Intent, ...]]:
    """The target after an event of its stream, and what endpoints deployed to it give it once more.

    ``users`` are the endpoints that have it among their targets.
    """
    match logged.event:
        case e.TargetCreated() as created:
            return TargetDefinition(created.target, created.kind, created.settings, created.secrets), ()
        case e.TargetChanged() as changed:
            after = TargetDefinition(changed.target, changed.kind, changed.settings, changed.secrets)
            wanting = (user for user in users if not user.retired and user.change is not None)
            return after, tuple(intent for user in wanting for intent in _intents(user, (after.name,), logged))
        case e.TargetRemoved():
            return None if before is None else replace(before, removed=True), ()
        case _:
            return before, ()


def _changed(endpoint: Endpoint, logged: Logged) -> tuple[Endpoint, tuple[Intent, ...]]:
    change = Change(logged.sequence, logged.position, logged.place, logged.actor, logged.reason, logged.time)
    after = replace(endpoint, change=change, order=logged.sequence)
    return after, _intents(after, after.targets, logged)


def _updated(before: Endpoint, updated: e.EndpointUpdated, logged: Logged) -> tuple[Endpoint, tuple[Intent, ...]]:
    """A target that joins is given what is served now; one that leaves is to serve nothing of it."""
    old, new = {name.lower() for name in before.targets}, {name.lower() for name in updated.targets}
    joining = tuple(name for name in updated.targets if name.lower() not in old)
    leaving = tuple(name for name in before.targets if name.lower() not in new)
    after = replace(before, targets=updated.targets)
    if before.change is None or not (joining or leaving):
        return after, ()
    after = replace(after, order=logged.sequence)
    return after, (
        *_intents(after, joining, logged),
        *_intents(replace(after, variants=()), leaving, logged),
    )


def _intents(endpoint: Endpoint, targets: Iterable[str], logged: Logged) -> tuple[Intent, ...]:
    assert endpoint.change is not None
    return tuple(
        Intent(
            position=logged.position,
            log_id=logged.log_id,
            stream=endpoint.stream,
            environment=endpoint.environment,
            endpoint=endpoint.name,
            model=endpoint.model,
            target=target,
            order=endpoint.order,
            change=endpoint.change.sequence,
            variants=endpoint.variants,
            actor=logged.actor,
            reason=logged.reason,
            time=logged.time,
            cause=logged.place,
        )
        for target in targets
    )
