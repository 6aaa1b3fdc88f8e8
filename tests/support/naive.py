"""The state of a registry by plain replay: the simplest code that could be right, to hold the views against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from regista.domain.chain import Row
from regista.schemas.codec import decode


@dataclass(slots=True)
class NaiveVersion:
    version: str
    ordinal: int
    stage: str
    digest: str
    metrics: dict[str, float]
    tags: dict[str, str]
    description: str
    sequence: int
    entered: int
    evaluations: list[tuple[dict[str, str | None] | None, dict[str, float]]]
    checks: dict[str, str] = field(default_factory=dict)
    aliases: set[str] = field(default_factory=set)


@dataclass(slots=True)
class NaiveModel:
    name: str
    description: str
    tags: dict[str, str]
    sequence: int
    retired: bool = False
    versions: dict[str, NaiveVersion] = field(default_factory=dict)

    def holders(self, stage: str) -> list[str]:
        """The versions in a stage, the one that entered last first."""
        inside = [v for v in self.versions.values() if v.stage == stage]
        return [v.version for v in sorted(inside, key=lambda v: (-v.entered, v.ordinal))]

    def aliases(self) -> dict[str, str]:
        return {alias: v.version for v in self.versions.values() for alias in v.aliases}


def replay(rows: Iterable[Row], until: int | None = None) -> dict[str, NaiveModel]:
    """All models by key, after the rows up to a position."""
    models: dict[str, NaiveModel] = {}
    for row in rows:
        if until is not None and row.position > until:
            break
        kind, _, key = row.stream.partition("/")
        if kind == "model":
            name, record = decode(row.value)
            _apply(models, key, row, name, record)
    return models


def _apply(models: dict[str, NaiveModel], key: str, row: Row, name: str, record: dict[str, Any]) -> None:
    if name == "ModelRegistered":
        models[key] = NaiveModel(record["model"], record["description"], dict(record["tags"]), row.sequence)
        return
    model = models[key]
    model.sequence = row.sequence
    versions = model.versions
    if name in ("ModelRetired", "ModelRevived"):
        model.retired = name == "ModelRetired"
    elif name == "ModelUpdated":
        model.description = record["description"] or model.description
        model.tags = _tags(model.tags, record)
    elif name == "VersionRegistered":
        versions[record["version"]] = NaiveVersion(
            record["version"],
            record["ordinal"],
            record["stage"],
            record["artifact"]["digest"],
            record["metrics"],
            dict(record["tags"]),
            record["description"],
            row.sequence,
            row.position,
            [(e["dataset"], e["metrics"]) for e in record["evaluations"]],
        )
    else:
        _change(versions, row, name, record)


def _change(versions: dict[str, NaiveVersion], row: Row, name: str, record: dict[str, Any]) -> None:
    for number in (record.get("version"), record.get("previous_version") if "alias" in record else None):
        if number is not None:
            versions[number].sequence = row.sequence
    for other in record.get("displaced", []):
        _enter(versions[other["version"]], other["to_stage"], row)
    if "alias" in record:
        for each in versions.values():
            each.aliases.discard(record["alias"].lower())
        if name == "AliasAssigned":
            versions[record["version"]].aliases.add(record["alias"].lower())
        return
    version = versions[record["version"]]
    stage = {"VersionPromoted": "to_stage", "VersionRolledBack": "stage"}.get(name)
    if name == "VersionArchived":
        _enter(version, "archived", row)
    elif stage is not None and record["from_stage"] != record[stage]:
        _enter(version, record[stage], row)
    else:
        _describe(version, name, record)


def _enter(version: NaiveVersion, stage: str, row: Row) -> None:
    version.stage, version.entered, version.sequence = stage, row.position, row.sequence


def _describe(version: NaiveVersion, name: str, record: dict[str, Any]) -> None:
    match name:
        case "VersionUpdated":
            version.description = record["description"] or version.description
            version.tags = _tags(version.tags, record)
        case "EvaluationRecorded":
            version.evaluations.append((record["dataset"], record["metrics"]))
        case "CheckReported":
            version.checks[record["check"]] = record["status"]


def _tags(tags: dict[str, str], record: dict[str, Any]) -> dict[str, str]:
    changed = {**tags, **record["tags_set"]}
    return {name: value for name, value in changed.items() if name not in record["tags_removed"]}
