"""A model's state as plain lists and dictionaries, and back: for snapshots that spare a long fold.

A snapshot is disposable: ``FORMAT`` is part of it, and one of another format is not read. Nothing but the fold of the
events is ever the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from regista.domain.metadata import Signature, TensorField
from regista.domain.model.state import ModelState, Sharing, StageState, Tenure, VersionState, is_inside, sharers
from regista.domain.ordered import Numbers
from regista.domain.persistent import PersistentMap
from regista.domain.versions import VersionNumber

FORMAT = 4
"""Raised with every change of the state's fields or of what they mean."""

Plain: TypeAlias = dict[str, Any]


def to_plain(state: ModelState) -> Plain:
    """The state in values that JSON can hold; a signature that versions share is written once."""
    signatures: dict[int, tuple[int, Signature | None]] = {}
    return {
        "format": FORMAT,
        "sequence": state.sequence,
        "name": state.name,
        "owner": state.owner,
        "retired": state.retired,
        "last_ordinal": state.last_ordinal,
        "highest": None if state.highest is None else state.highest.ordinal,
        "versions": [_plain_version(version, signatures) for version in state.versions.to_dict().values()],
        "signatures": [
            None if s is None else [_plain_fields(s.inputs), _plain_fields(s.outputs)] for _, s in signatures.values()
        ],
        "digests": {
            digest: sharing if isinstance(sharing, int) else list(sharers(sharing))
            for digest, sharing in state.digests.to_dict().items()
        },
        "aliases": state.aliases.to_dict(),
        "alias_touched": state.alias_touched.to_dict(),
        "stages": {name: _plain_stage(stage) for name, stage in state.stages.items()},
        "ordered": [state.numbers[str(number)] for number in state.ordered],
        "inside": {name: _plain_inside(state, name, newest) for name, newest in state.inside.items()},
    }


def from_plain(plain: Plain) -> ModelState | None:
    """The state that ``to_plain`` was given; None when the snapshot is of another format."""
    if plain.get("format") != FORMAT:
        return None
    signatures = [None if s is None else Signature(_fields(s[0]), _fields(s[1])) for s in plain["signatures"]]
    versions = {v[1]: _version(v, signatures) for v in plain["versions"]}
    return ModelState(
        sequence=plain["sequence"],
        name=plain["name"],
        owner=plain["owner"],
        retired=plain["retired"],
        last_ordinal=plain["last_ordinal"],
        highest=None if plain["highest"] is None else versions[plain["highest"]],
        versions=PersistentMap(versions),
        numbers=PersistentMap({v[0]: v[1] for v in plain["versions"]}),
        digests=PersistentMap(
            {digest: o if isinstance(o, int) else _sharing(o) for digest, o in plain["digests"].items()}
        ),
        aliases=PersistentMap(plain["aliases"]),
        alias_touched=PersistentMap(plain["alias_touched"]),
        stages={name: _stage(stage) for name, stage in plain["stages"].items()},
        ordered=Numbers(versions[ordinal].number for ordinal in plain["ordered"]),
        inside={name: _inside(ordinals, versions) for name, ordinals in plain["inside"].items()},
    )


def _sharing(ordinals: list[int]) -> Sharing:
    """Of ordinals, the newest first, at least one."""
    sharing: Sharing = ordinals[-1]
    for ordinal in ordinals[-2::-1]:
        sharing = (ordinal, sharing)
    return sharing


def _plain_version(version: VersionState, signatures: dict[int, tuple[int, Signature | None]]) -> list[Any]:
    place, _ = signatures.setdefault(id(version.signature), (len(signatures), version.signature))
    return [
        str(version.number),
        version.ordinal,
        version.stage,
        version.digest,
        version.uri,
        version.weights_digest,
        place,
        version.entered,
        version.touched,
        version.incomplete,
        sorted(version.aliases),
        dict(version.checks),
    ]


def _version(plain: list[Any], signatures: list[Signature | None]) -> VersionState:
    number, ordinal, stage, digest, uri, weights, signature, entered, touched, incomplete, aliases, checks = plain
    return VersionState(
        VersionNumber.parse(number),
        ordinal,
        stage,
        digest,
        uri,
        weights,
        signatures[signature],
        entered,
        touched,
        tuple(incomplete),
        frozenset(aliases),
        checks,
    )


def _plain_fields(fields: tuple[TensorField, ...]) -> list[list[Any]]:
    return [[f.name, f.type, f.shape, f.optional] for f in fields]


def _fields(plain: list[list[Any]]) -> tuple[TensorField, ...]:
    return tuple(
        TensorField(name, kind, None if shape is None else tuple(shape), optional)
        for name, kind, shape, optional in plain
    )


def _plain_inside(state: ModelState, stage: str, newest: Tenure) -> list[int]:
    """The ordinals of those that are there still, the newest last."""
    ordinals, tenure = [], cast("Tenure | None", newest)
    while tenure is not None:
        if is_inside(state.versions[tenure.ordinal], stage, tenure):
            ordinals.append(tenure.ordinal)
        tenure = tenure.below
    return ordinals[::-1]


def _inside(ordinals: list[int], versions: Mapping[int, VersionState]) -> Tenure:
    """Of ordinals, the newest last, at least one."""
    tenure: Tenure | None = None
    for ordinal in ordinals:
        tenure = Tenure(ordinal, versions[ordinal].entered, tenure)
    assert tenure is not None, "a stage without versions has no entry"
    return tenure


def _plain_stage(stage: StageState) -> Plain:
    tenures = []
    tenure = stage.tenures
    while tenure is not None:
        tenures.append([tenure.ordinal, tenure.since])
        tenure = tenure.below
    return {
        "holders": list(stage.holders.items()),
        "tenures": tenures[::-1],
        "held": list(stage.held.to_dict().items()),
        "rolled_back": sorted(stage.rolled_back),
    }


def _stage(plain: Plain) -> StageState:
    tenures: Tenure | None = None
    for ordinal, since in plain["tenures"]:
        tenures = Tenure(ordinal, since, tenures)
    return StageState(
        dict(plain["holders"]), tenures, PersistentMap(dict(plain["held"])), frozenset(plain["rolled_back"])
    )
