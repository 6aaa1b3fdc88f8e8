"""Which endpoints have to look at what they follow, because of an event: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from regista.domain import events as e
from regista.domain.references import DEFAULT_STAGES
from regista.work.logged import Logged

MOVING: Final = (e.VersionPromoted, e.VersionRolledBack, e.VersionArchived, e.AliasAssigned)
"""Events since which a stage or an alias may name another version."""


@dataclass(frozen=True, slots=True)
class Follower:
    """An endpoint that follows a stage or an alias; ``followed`` None: nothing, any more or yet."""

    stream: str
    environment: str
    name: str
    model: str
    followed: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A stage or alias of a model may name another version now: ``version``, where the event says which."""

    model: str
    followed: str
    version: str | None


def of_endpoint(before: Follower | None, logged: Logged) -> tuple[Follower | None, bool]:
    """The endpoint after an event of its stream, and whether it has to look at once: it follows something new."""
    match logged.event:
        case e.EndpointCreated() as created:
            after = Follower(logged.stream, created.environment, created.endpoint, created.model, created.follow)
            return after, created.follow is not None
        case e.EndpointUpdated() as updated:
            after = Follower(logged.stream, updated.environment, updated.endpoint, updated.model, updated.follow)
            return after, updated.follow is not None and updated.follow != updated.previous_follow
        case e.EndpointRetired():
            return None, False
        case _:
            return before, False


def moved(event: e.Event | None) -> tuple[Moved, ...]:
    """What names another version since an event.

    The version that came is known; who holds the stage that it left is asked. A removed alias names nothing to follow.
    """
    match event:
        case e.VersionPromoted(model=model, version=version, from_stage=left, to_stage=entered, displaced=displaced):
            return _stages(model, version, entered, (left, *(gone.to_stage for gone in displaced)))
        case e.VersionRolledBack(model=model, version=version, from_stage=left, stage=entered, displaced=displaced):
            return _stages(model, version, entered, (left, *(gone.to_stage for gone in displaced)))
        case e.VersionArchived(model=model, version=version, from_stage=left):
            return _stages(model, version, "archived", (left,))
        case e.AliasAssigned(model=model, alias=alias, version=version):
            return (Moved(model, f"@{alias}", version),)
        case _:
            return ()


def _stages(model: str, version: str, entered: str, others: tuple[str, ...]) -> tuple[Moved, ...]:
    left = [stage for stage in dict.fromkeys(others) if stage != entered]
    return (Moved(model, _called(entered), version), *(Moved(model, _called(stage), None) for stage in left))


def _called(stage: str) -> str:
    """A stage as endpoints keep what they follow."""
    return f"@{stage}" if stage in DEFAULT_STAGES else f"stage:{stage}"
