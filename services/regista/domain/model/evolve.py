"""``evolve``: the state after one more event. No rule is judged here: what happened, happened.

The same functions fold a whole history: then the maps inside change in place and are frozen at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar, cast

from regista.domain import events as e
from regista.domain.model.state import EMPTY, ModelState, SettableMap, StageState, Tenure, VersionState
from regista.domain.persistent import PersistentMap
from regista.domain.versions import VersionNumber

K = TypeVar("K")
V = TypeVar("V")


class _Building(dict[K, V]):
    """A map in the making: ``set`` changes it in place."""

    def set(self, key: K, value: V) -> _Building[K, V]:
        self[key] = value
        return self


def evolve(state: ModelState, event: e.Event) -> ModelState:
    """The state after ``event``, which is the next of the stream.

    Raises:
        KeyError: when no event of this type belongs to a model stream.
    """
    return _EVOLVERS[type(event)](state, state.sequence + 1, event)


def fold(events: Iterable[e.Event], state: ModelState = EMPTY) -> ModelState:
    """The state after all of ``events``: the same as ``evolve`` one by one, in less time."""
    building = _map_maps(state, lambda m: _Building(m.items()) if isinstance(m, PersistentMap) else m)
    for event in events:
        building = _EVOLVERS[type(event)](building, building.sequence + 1, event)
    return _map_maps(building, lambda m: PersistentMap(dict(m)) if isinstance(m, _Building) else m)


def _map_maps(state: ModelState, change: Callable[[Any], Any]) -> ModelState:
    return replace(
        state,
        versions=change(state.versions),
        numbers=change(state.numbers),
        digests=change(state.digests),
        aliases=change(state.aliases),
        alias_touched=change(state.alias_touched),
        stages={name: replace(stage, held=change(stage.held)) for name, stage in state.stages.items()},
    )


def _model_registered(_: ModelState, sequence: int, event: e.ModelRegistered) -> ModelState:
    return replace(_, sequence=sequence, name=event.model, owner=event.owner)


def _model_updated(state: ModelState, sequence: int, event: e.ModelUpdated) -> ModelState:
    return replace(state, sequence=sequence, owner=state.owner if event.owner is None else event.owner)


def _model_retired(state: ModelState, sequence: int, _: e.ModelRetired) -> ModelState:
    return replace(state, sequence=sequence, retired=True)


def _model_revived(state: ModelState, sequence: int, _: e.ModelRevived) -> ModelState:
    return replace(state, sequence=sequence, retired=False)


def _version_registered(state: ModelState, sequence: int, event: e.VersionRegistered) -> ModelState:
    artifact = event.artifact
    highest = state.highest
    signature = event.signature
    if highest is not None and highest.signature == signature:
        signature = highest.signature
    version = VersionState(
        number=VersionNumber.parse(event.version),
        ordinal=event.ordinal,
        stage=event.stage,
        digest=artifact.digest,
        uri=artifact.uri,
        weights_digest=artifact.weights_digest,
        signature=signature,
        entered=sequence,
        touched=sequence,
        incomplete=event.incomplete,
    )
    digests = state.digests
    for digest in {artifact.digest, *(f.sha256 for f in artifact.files)} - {""}:
        digests = digests.set(digest, (*(digests.get(digest) or ()), event.ordinal))
    return replace(
        state,
        sequence=sequence,
        last_ordinal=event.ordinal,
        highest=version if highest is None or highest.number < version.number else highest,
        versions=state.versions.set(event.ordinal, version),
        numbers=state.numbers.set(event.version, event.ordinal),
        digests=digests,
    )


def _version_updated(state: ModelState, sequence: int, event: e.VersionUpdated) -> ModelState:
    return _touched(state, sequence, replace(state.versions[event.ordinal], incomplete=event.incomplete))


def _evaluation_recorded(state: ModelState, sequence: int, event: e.EvaluationRecorded) -> ModelState:
    return _touched(state, sequence, state.versions[event.ordinal])


def _check_reported(state: ModelState, sequence: int, event: e.CheckReported) -> ModelState:
    checks = {**state.versions[event.ordinal].checks, event.check: event.status}
    return _touched(state, sequence, replace(state.versions[event.ordinal], checks=checks))


def _version_promoted(state: ModelState, sequence: int, event: e.VersionPromoted) -> ModelState:
    state = _displace(state, sequence, event.to_stage, event.displaced)
    state = _leave(state, event.from_stage, event.ordinal)
    state = _touched(state, sequence, replace(state.versions[event.ordinal], stage=event.to_stage, entered=sequence))
    stage = state.stage(event.to_stage)
    entered = StageState(
        holders={**stage.holders, event.ordinal: sequence},
        tenures=Tenure(event.ordinal, sequence, stage.tenures),
        held=stage.held.set(event.ordinal, sequence),
        rolled_back=stage.rolled_back - {event.ordinal},
    )
    return _with_stage(state, event.to_stage, entered)


def _version_rolled_back(state: ModelState, sequence: int, event: e.VersionRolledBack) -> ModelState:
    since = state.stage(event.stage).held[event.ordinal]
    state = _displace(state, sequence, event.stage, event.displaced)
    if event.from_stage != event.stage:
        state = _leave(state, event.from_stage, event.ordinal)
        state = _touched(state, sequence, replace(state.versions[event.ordinal], stage=event.stage, entered=sequence))
    else:
        state = _touched(state, sequence, state.versions[event.ordinal])
    stage = state.stage(event.stage)
    below = stage.tenures
    while below is not None and below.since >= since:
        below = below.below
    back = StageState(
        holders={**stage.holders, event.ordinal: since},
        tenures=Tenure(event.ordinal, since, below),
        held=stage.held,
        rolled_back=(stage.rolled_back | {d.ordinal for d in event.displaced}) - {event.ordinal},
    )
    return _with_stage(state, event.stage, back)


def _version_archived(state: ModelState, sequence: int, event: e.VersionArchived) -> ModelState:
    state = _leave(state, event.from_stage, event.ordinal)
    return _touched(
        state, sequence, replace(state.versions[event.ordinal], stage=state.policy.archive, entered=sequence)
    )


def _alias_assigned(state: ModelState, sequence: int, event: e.AliasAssigned) -> ModelState:
    alias = event.alias.lower()
    before = state.aliases.get(alias)
    if before is not None:
        state = _touched(
            state, sequence, replace(state.versions[before], aliases=state.versions[before].aliases - {alias})
        )
    state = _touched(
        state, sequence, replace(state.versions[event.ordinal], aliases=state.versions[event.ordinal].aliases | {alias})
    )
    return replace(
        state,
        aliases=state.aliases.set(alias, event.ordinal),
        alias_touched=state.alias_touched.set(alias, sequence),
    )


def _alias_removed(state: ModelState, sequence: int, event: e.AliasRemoved) -> ModelState:
    alias = event.alias.lower()
    aliases = state.versions[event.previous_ordinal].aliases - {alias}
    state = _touched(state, sequence, replace(state.versions[event.previous_ordinal], aliases=aliases))
    return replace(
        state, aliases=state.aliases.set(alias, None), alias_touched=state.alias_touched.set(alias, sequence)
    )


def _touched(state: ModelState, sequence: int, version: VersionState) -> ModelState:
    version = replace(version, touched=sequence)
    highest = version if state.highest is not None and state.highest.ordinal == version.ordinal else state.highest
    return replace(state, sequence=sequence, versions=state.versions.set(version.ordinal, version), highest=highest)


def _displace(state: ModelState, sequence: int, stage: str, displaced: tuple[e.Displaced, ...]) -> ModelState:
    for other in displaced:
        state = _leave(state, stage, other.ordinal)
        state = _touched(
            state, sequence, replace(state.versions[other.ordinal], stage=other.to_stage, entered=sequence)
        )
    return state


def _leave(state: ModelState, name: str, ordinal: int) -> ModelState:
    stage = state.stage(name)
    if ordinal not in stage.holders:
        return state
    holders = {o: since for o, since in stage.holders.items() if o != ordinal}
    return _with_stage(state, name, replace(stage, holders=holders))


def _with_stage(state: ModelState, name: str, stage: StageState) -> ModelState:
    held = stage.held
    if isinstance(state.versions, _Building) and isinstance(held, PersistentMap):
        stage = replace(stage, held=cast("SettableMap[int, int]", _Building(held.items())))
    return replace(state, stages={**state.stages, name: stage})


_EVOLVERS: dict[type[e.Event], Callable[[ModelState, int, Any], ModelState]] = {
    e.ModelRegistered: _model_registered,
    e.ModelUpdated: _model_updated,
    e.ModelRetired: _model_retired,
    e.ModelRevived: _model_revived,
    e.VersionRegistered: _version_registered,
    e.VersionUpdated: _version_updated,
    e.EvaluationRecorded: _evaluation_recorded,
    e.CheckReported: _check_reported,
    e.VersionPromoted: _version_promoted,
    e.VersionRolledBack: _version_rolled_back,
    e.VersionArchived: _version_archived,
    e.AliasAssigned: _alias_assigned,
    e.AliasRemoved: _alias_removed,
}
