"""What a write answers: the resource in short, and where its event stands in the log.

An answer is made of the event and of the state right after it, and of nothing else, so that a replayed command is
answered as it was the first time. The shapes are those of ``regista.wire.resources``; plain dictionaries here, because
this is on the way of every write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from regista.domain import events as e
from regista.domain.chain import Row
from regista.domain.context import State
from regista.domain.model import ModelState
from regista.domain.records import to_json, to_record
from regista.registrar import deployment_answers as of_deployments

Answer: TypeAlias = dict[str, Any]

_OfVersion: TypeAlias = (
    e.VersionRegistered
    | e.VersionUpdated
    | e.EvaluationRecorded
    | e.CheckReported
    | e.VersionPromoted
    | e.VersionRolledBack
    | e.VersionArchived
)

CREATING = frozenset(
    {e.ModelRegistered, e.VersionRegistered, e.EvaluationRecorded, e.CheckReported, *of_deployments.CREATING}
)
"""Events whose command is answered with 201."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``position`` is what a reader waits for to see the change; 0 in a dry run."""

    status: int
    position: int
    answer: Answer


class Written(NamedTuple):
    """An event of a command that is in the log, its hash, and the state right after it."""

    row: Row
    hash: bytes
    event: e.Event
    state: State


def written(whole: Sequence[Written], command_id: str, *, replayed: bool) -> Outcome:
    """The answer of a command whose events are in the log: that of the last of them.

    Where they went to several streams, ``events`` lists where each of them stands.
    """
    last = whole[-1]
    row, event = last.row, last.event
    place = {**_place(last), "command_id": command_id, "replayed": replayed}
    resource = RESOURCES[type(event)](event, last.state)
    if len(whole) > 1 and any(one.row.stream != row.stream for one in whole):
        resource = {"events": [{**_place(one), "type": one.event.TYPE} for one in whole]}
    return Outcome(201 if _creates(event) and not replayed else 200, row.position, {**resource, **place})


def _creates(event: e.Event) -> bool:
    return type(event) in CREATING or (isinstance(event, e.EnvironmentDefined) and event.previous_description is None)


def _place(written: Written) -> Answer:
    row = written.row
    return {
        "stream": row.stream,
        "sequence": row.sequence,
        "position": row.position,
        "hash": written.hash.hex(),
    }


def planned(events: Sequence[tuple[str, e.Event]], sequences: Sequence[int]) -> Outcome:
    """The answer of a dry run: the events that would have been appended, with their streams and sequences there."""
    plan = [
        {"stream": stream, "sequence": sequence, "type": event.TYPE, "data": to_json(to_record(event))}
        for (stream, event), sequence in zip(events, sequences, strict=True)
    ]
    return Outcome(200, 0, {"dry_run": True, "events": plan})


def needs_past(row: Row, event: e.Event, state: State) -> bool:
    """Whether the answer cannot be told from ``state``, which may have gone on since: what it is about was touched again."""
    if not isinstance(state, ModelState):
        return state.sequence != row.sequence
    if not isinstance(event, _OfVersion) or isinstance(event, e.VersionRegistered):
        return False
    version = state.versions.get(event.ordinal)
    return version is None or version.touched != row.sequence


def _model(event: e.ModelRegistered | e.ModelUpdated | e.ModelRetired | e.ModelRevived, _: ModelState) -> Answer:
    return {"model": event.model, "retired": isinstance(event, e.ModelRetired)}


def _version(event: _OfVersion, state: ModelState) -> Answer:
    version = state.versions[event.ordinal]
    return {
        "model": event.model,
        "version": event.version,
        "ordinal": event.ordinal,
        "stage": version.stage,
        "aliases": sorted(version.aliases),
        "artifact": {"digest": version.digest},
        "incomplete": list(version.incomplete),
    }


def _registered(event: e.VersionRegistered, _: ModelState) -> Answer:
    numbering = event.numbering
    return {
        "model": event.model,
        "version": event.version,
        "ordinal": event.ordinal,
        "stage": event.stage,
        "aliases": [],
        "artifact": {"digest": event.artifact.digest},
        "incomplete": list(event.incomplete),
        "numbering": {
            "requested": numbering.requested,
            "level": numbering.level,
            "base": numbering.base,
            "explanation": list(numbering.explanation),
        },
    }


def _moved(event: e.VersionPromoted | e.VersionRolledBack, state: ModelState) -> Answer:
    displaced = [{"version": d.version, "ordinal": d.ordinal, "to_stage": d.to_stage} for d in event.displaced]
    return {**_version(event, state), "previous_version": event.previous_version, "displaced": displaced}


def _assigned(event: e.AliasAssigned, _: ModelState) -> Answer:
    return {
        "model": event.model,
        "alias": event.alias,
        "version": event.version,
        "ordinal": event.ordinal,
        "previous_version": event.previous_version,
    }


def _removed(event: e.AliasRemoved, _: ModelState) -> Answer:
    return {
        "model": event.model,
        "alias": event.alias,
        "version": None,
        "ordinal": None,
        "previous_version": event.previous_version,
    }


RESOURCES: dict[type[e.Event], Callable[[Any, Any], Answer]] = {
    e.ModelRegistered: _model,
    e.ModelUpdated: _model,
    e.ModelRetired: _model,
    e.ModelRevived: _model,
    e.VersionRegistered: _registered,
    e.VersionUpdated: _version,
    e.EvaluationRecorded: _version,
    e.CheckReported: _version,
    e.VersionPromoted: _moved,
    e.VersionRolledBack: _moved,
    e.VersionArchived: _version,
    e.AliasAssigned: _assigned,
    e.AliasRemoved: _removed,
    **of_deployments.RESOURCES,
}
