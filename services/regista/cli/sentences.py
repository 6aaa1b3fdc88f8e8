"""What an event means, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Data = Mapping[str, Any]


def sentence(kind: str, data: Data) -> str:
    """The event of a CloudEvents type in words; an unknown one by its type."""
    known = _SENTENCES.get(kind)
    return known(data) if known else kind


def _registered(data: Data) -> str:
    level = (data.get("numbering") or {}).get("level")
    return f"registered {data['version']}" + (f" ({level})" if level else "")


def _gone(data: Data) -> str:
    gone = [f"{one['version']} to {one['to_stage']}" for one in data.get("displaced") or ()]
    return f", {', '.join(gone)}" if gone else ""


def _promoted(data: Data) -> str:
    beside = ", beside what is there" if data.get("keep_existing") else ""
    return f"promoted {data['version']} from {data['from_stage']} to {data['to_stage']}{_gone(data)}{beside}"


def _rolled_back(data: Data) -> str:
    before = f" from {data['previous_version']}" if data.get("previous_version") else ""
    return f"rolled {data['stage']} back{before} to {data['version']}"


def _changed(data: Data, *names: str) -> str:
    return ", ".join(name.replace("_", " ") for name in names if data.get(name) not in (None, [], {})) or "nothing"


def _evaluated(data: Data) -> str:
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in list(data["metrics"].items())[:5])
    on = f" on {data['dataset']['name']}" if data.get("dataset") else ""
    return f"evaluated {data['version']}{on}: {metrics}"


def _assigned(data: Data) -> str:
    before = f" (was {data['previous_version']})" if data.get("previous_version") else ""
    return f"pointed @{data['alias']} at {data['version']}{before}"


_SENTENCES: dict[str, Callable[[Data], str]] = {
    "regista.model.registered.v1": lambda d: f"took the name {d['model']}",
    "regista.model.updated.v1": lambda d: "changed " + _changed(d, "title", "description", "owner", "tags", "policy"),
    "regista.model.retired.v1": lambda d: f"retired {d['model']}",
    "regista.model.revived.v1": lambda d: f"revived {d['model']}",
    "regista.version.registered.v1": _registered,
    "regista.version.updated.v1": lambda d: (
        f"changed {_changed(d, 'description', 'tags', 'model_card', 'supplied', 'waived')} of {d['version']}"
    ),
    "regista.version.evaluation-recorded.v1": _evaluated,
    "regista.version.check-reported.v1": lambda d: f"check {d['check']} of {d['version']}: {d['status']}",
    "regista.version.promoted.v1": _promoted,
    "regista.version.rolled-back.v1": _rolled_back,
    "regista.version.archived.v1": lambda d: (
        f"archived {d['version']} from {d['from_stage']}" + (", which is empty now" if d.get("leaves_empty") else "")
    ),
    "regista.alias.assigned.v1": _assigned,
    "regista.alias.removed.v1": lambda d: f"removed @{d['alias']} (was {d['previous_version']})",
    "regista.log.created.v1": lambda _: "created the log",
    "regista.log.healed.v1": lambda d: (
        f"healed from {d['source']}: {d['restored']} events restored, {d['quarantined']} put aside"
    ),
    "regista.log.imported.v1": lambda d: f"imported {d['events']} events of the log {d['source_log_id']}",
}
