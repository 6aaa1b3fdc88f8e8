"""``evolve``: the state after one more event. No rule is judged here: what happened, happened.

Both ``evolve`` and ``fold`` change a private draft and freeze it. For one event the draft holds the state's own maps,
which share structure with what follows; for a whole history it holds maps that change in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, TypeVar

from regista.domain import events as e
from regista.domain.model.state import EMPTY, ModelState, SettableMap, StageState, Tenure, VersionState, is_inside
from regista.domain.persistent import PersistentMap
from regista.domain.versions import VersionNumber

K = TypeVar("K")
V = TypeVar("V")


def evolve(state: ModelState, event: e.Event) -> ModelState:
    """The state after ``event``, which is the next of the stream.

    Raises:
        KeyError: when no event of this type belongs to a model stream.
    """
    draft = _Draft(state)
    draft.apply(event)
    return draft.frozen()


def fold(events: Iterable[e.Event], state: ModelState = EMPTY) -> ModelState:
    """The state after all of ``events``: the same as ``evolve`` one by one, in less time."""
    draft = _Draft(state)
    draft.convert_maps(_Building.of)
    draft.no_entries = _Building
    for event in events:
        draft.apply(event)
    draft.convert_maps(_Building.frozen)
    return draft.frozen()


class _Building(dict[K, V]):
    """A map in the making: ``set`` changes it in place."""

    @classmethod
    def of(cls, entries: SettableMap[Any, Any]) -> SettableMap[Any, Any]:
        """The same entries, to be changed."""
        return cls(entries.to_dict())

    def set(self, key: K, value: V) -> _Building[K, V]:
        self[key] = value
        return self

    def to_dict(self) -> dict[K, V]:
        return dict(self)

    @staticmethod
    def frozen(entries: SettableMap[Any, Any]) -> SettableMap[Any, Any]:
        """The same entries, never to be changed again."""
        return PersistentMap(entries.to_dict())


class _Draft:
    """The fields of a ``ModelState``, open to change."""

    __slots__ = (
        "added",
        "alias_touched",
        "aliases",
        "digests",
        "highest",
        "inside",
        "last_ordinal",
        "name",
        "no_entries",
        "numbers",
        "ordered",
        "owner",
        "policy",
        "retired",
        "sequence",
        "stages",
        "versions",
    )

    def __init__(self, state: ModelState) -> None:
        self.sequence = state.sequence
        self.name = state.name
        self.owner = state.owner
        self.policy = state.policy
        self.retired = state.retired
        self.last_ordinal = state.last_ordinal
        self.highest = state.highest
        self.versions = state.versions
        self.numbers = state.numbers
        self.ordered = state.ordered
        self.added: list[VersionNumber] = []
        self.digests = state.digests
        self.aliases = state.aliases
        self.alias_touched = state.alias_touched
        self.stages: Mapping[str, StageState] = state.stages
        self.inside: Mapping[str, Tenure] = state.inside
        self.no_entries: Callable[[], SettableMap[int, int]] = PersistentMap

    def frozen(self) -> ModelState:
        return ModelState(
            self.sequence,
            self.name,
            self.owner,
            self.policy,
            self.retired,
            self.last_ordinal,
            self.highest,
            self.versions,
            self.numbers,
            self.ordered.union(self.added),
            self.digests,
            self.aliases,
            self.alias_touched,
            self.stages,
            self.inside,
        )

    def convert_maps(self, convert: Callable[[SettableMap[Any, Any]], SettableMap[Any, Any]]) -> None:
        self.versions = convert(self.versions)
        self.numbers = convert(self.numbers)
        self.digests = convert(self.digests)
        self.aliases = convert(self.aliases)
        self.alias_touched = convert(self.alias_touched)
        self.stages = {name: replace(stage, held=convert(stage.held)) for name, stage in self.stages.items()}

    def apply(self, event: e.Event) -> None:
        self.sequence += 1
        _EVOLVERS[type(event)](self, event)

    def stage(self, name: str) -> StageState:
        stage = self.stages.get(name)
        return StageState(held=self.no_entries()) if stage is None else stage

    def set_stage(self, name: str, stage: StageState) -> None:
        self.stages = {**self.stages, name: stage}

    def put(self, version: VersionState) -> None:
        """Replace a version, touched now."""
        self.versions = self.versions.set(version.ordinal, version)
        if self.highest is not None and self.highest.ordinal == version.ordinal:
            self.highest = version

    def move(self, ordinal: int, from_stage: str, to_stage: str) -> None:
        """Take a version out of one stage and into another; into its holders only who calls knows how."""
        stage = self.stages.get(from_stage)
        if stage is not None and ordinal in stage.holders:
            holders = {other: since for other, since in stage.holders.items() if other != ordinal}
            self.set_stage(from_stage, replace(stage, holders=holders))
        self.put(replace(self.versions[ordinal], stage=to_stage, entered=self.sequence, touched=self.sequence))
        self.leave(from_stage)
        self.enter(to_stage, ordinal)

    def displace(self, stage: str, displaced: tuple[e.Displaced, ...]) -> None:
        """Move versions by one event. Of those that come into a stage with it, the one registered first is its newest."""
        for other in sorted(displaced, key=attrgetter("ordinal"), reverse=True):
            self.move(other.ordinal, stage, other.to_stage)

    def enter(self, stage: str, ordinal: int) -> None:
        """Put a version on top of those in a stage without holders."""
        if not self.policy.is_held(stage):
            self.inside = {**self.inside, stage: Tenure(ordinal, self.sequence, self.inside.get(stage))}

    def leave(self, stage: str) -> None:
        """Take those off the top that are not there any more: each once, whenever it left."""
        newest = top = self.inside.get(stage)
        while newest is not None and not is_inside(self.versions[newest.ordinal], stage, newest):
            newest = newest.below
        if newest is not top:
            others = {name: tenure for name, tenure in self.inside.items() if name != stage}
            self.inside = others if newest is None else {**others, stage: newest}


def _model_registered(draft: _Draft, event: e.ModelRegistered) -> None:
    draft.name = event.model
    draft.owner = event.owner


def _model_updated(draft: _Draft, event: e.ModelUpdated) -> None:
    if event.owner is not None:
        draft.owner = event.owner


def _model_retired(draft: _Draft, _: e.ModelRetired) -> None:
    draft.retired = True


def _model_revived(draft: _Draft, _: e.ModelRevived) -> None:
    draft.retired = False


def _version_registered(draft: _Draft, event: e.VersionRegistered) -> None:
    artifact, ordinal, sequence, highest = event.artifact, event.ordinal, draft.sequence, draft.highest
    signature = event.signature
    if highest is not None and highest.signature == signature:
        signature = highest.signature  # one object for thousands of retrained versions
    version = VersionState(
        VersionNumber.parse(event.version),
        ordinal,
        event.stage,
        artifact.digest,
        artifact.uri,
        artifact.weights_digest,
        signature,
        sequence,
        sequence,
        event.incomplete,
    )
    for digest in {artifact.digest, *(f.sha256 for f in artifact.files)} - {""}:
        older = draft.digests.get(digest)
        draft.digests = draft.digests.set(digest, ordinal if older is None else (ordinal, older))
    draft.last_ordinal = ordinal
    if highest is None or highest.number < version.number:
        draft.highest = version
    draft.versions = draft.versions.set(ordinal, version)
    draft.numbers = draft.numbers.set(event.version, ordinal)
    draft.added.append(version.number)
    draft.enter(event.stage, ordinal)


def _version_updated(draft: _Draft, event: e.VersionUpdated) -> None:
    draft.put(replace(draft.versions[event.ordinal], incomplete=event.incomplete, touched=draft.sequence))


def _evaluation_recorded(draft: _Draft, event: e.EvaluationRecorded) -> None:
    draft.put(replace(draft.versions[event.ordinal], touched=draft.sequence))


def _check_reported(draft: _Draft, event: e.CheckReported) -> None:
    version = draft.versions[event.ordinal]
    draft.put(replace(version, checks={**version.checks, event.check: event.status}, touched=draft.sequence))


def _version_promoted(draft: _Draft, event: e.VersionPromoted) -> None:
    draft.displace(event.to_stage, event.displaced)
    draft.move(event.ordinal, event.from_stage, event.to_stage)
    if not draft.policy.is_held(event.to_stage):
        return
    stage = draft.stage(event.to_stage)
    entered = StageState(
        holders={**stage.holders, event.ordinal: draft.sequence},
        tenures=Tenure(event.ordinal, draft.sequence, stage.tenures),
        held=stage.held.set(event.ordinal, draft.sequence),
        rolled_back=stage.rolled_back - {event.ordinal},
    )
    draft.set_stage(event.to_stage, entered)


def _version_rolled_back(draft: _Draft, event: e.VersionRolledBack) -> None:
    draft.displace(event.stage, event.displaced)
    if event.from_stage == event.stage:
        draft.put(replace(draft.versions[event.ordinal], touched=draft.sequence))
    else:
        draft.move(event.ordinal, event.from_stage, event.stage)
    stage = draft.stage(event.stage)
    since = stage.held[event.ordinal]
    below = stage.tenures
    while below is not None and below.since >= since:
        below = below.below
    back = StageState(
        holders={**stage.holders, event.ordinal: since},
        tenures=Tenure(event.ordinal, since, below),
        held=stage.held,
        rolled_back=(stage.rolled_back | {d.ordinal for d in event.displaced}) - {event.ordinal},
    )
    draft.set_stage(event.stage, back)


def _version_archived(draft: _Draft, event: e.VersionArchived) -> None:
    draft.move(event.ordinal, event.from_stage, draft.policy.archive)


def _alias_assigned(draft: _Draft, event: e.AliasAssigned) -> None:
    alias = event.alias.lower()
    before = draft.aliases.get(alias)
    if before is not None:
        _take_alias(draft, before, alias)
    version = draft.versions[event.ordinal]
    draft.put(replace(version, aliases=version.aliases | {alias}, touched=draft.sequence))
    draft.aliases = draft.aliases.set(alias, event.ordinal)
    draft.alias_touched = draft.alias_touched.set(alias, draft.sequence)


def _alias_removed(draft: _Draft, event: e.AliasRemoved) -> None:
    alias = event.alias.lower()
    _take_alias(draft, event.previous_ordinal, alias)
    draft.aliases = draft.aliases.set(alias, None)
    draft.alias_touched = draft.alias_touched.set(alias, draft.sequence)


def _take_alias(draft: _Draft, ordinal: int, alias: str) -> None:
    version = draft.versions[ordinal]
    draft.put(replace(version, aliases=version.aliases - {alias}, touched=draft.sequence))


_EVOLVERS: dict[type[e.Event], Callable[[_Draft, Any], None]] = {
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
