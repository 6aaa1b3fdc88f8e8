"""What an event means, in a few words: one wording for whoever tells people of events."""

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


def _share(hundredths: int) -> str:
    return f"{hundredths / 100:g} %"


def _variant(one: Data) -> str:
    role = "" if one["role"] == "champion" else f" {one['role']}"
    share = f"mirrored {_share(one['mirror'])}" if one["role"] == "shadow" else _share(one["weight"])
    return f"{one['version']}{role} {share}" + (f" in {one['region']}" if one.get("region") else "")


def _where(data: Data) -> str:
    return f"{data['environment']}/{data['endpoint']}"


def _served(data: Data) -> str:
    return ", ".join(map(_variant, data["variants"])) or "nothing"


def _traffic(data: Data) -> str:
    canary = data.get("canary")
    step = f" (step {canary['step']} of {len(canary['steps'])})" if canary else ""
    return f"changed the traffic of {_where(data)} to {_served(data)}{step}"


def _defined(data: Data) -> str:
    regions = f" in {', '.join(data['regions'])}" if data.get("regions") else ""
    return f"defined {data['environment']}: serves {', '.join(data['stages'])}{regions}"


def _deployed(data: Data) -> str:
    return f"deployment of change {data['change']} of {_where(data)} to {data['target']}: {data['state']}"


def _concluded(data: Data) -> str:
    step = f", step {data['step']}" if data.get("step") else ""
    return f"judged change {data['change']} of {_where(data)}{step}: {data['verdict'].replace('_', ' ')}"


def _subscription_changed(data: Data) -> str:
    before, name = data["previous"], data["subscription"]
    if data["disabled"] != before["disabled"]:
        return f"disabled the subscription {name}" if data["disabled"] else f"enabled the subscription {name}"
    changed = [field.replace("_", " ") for field in before if data[field] != before[field]]
    return f"changed {', '.join(changed) or 'nothing'} of the subscription {name}"


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
    "regista.environment.defined.v1": _defined,
    "regista.target.created.v1": lambda d: f"created the target {d['target']} ({d['kind']})",
    "regista.target.changed.v1": lambda d: f"changed the target {d['target']} ({d['kind']})",
    "regista.target.removed.v1": lambda d: f"removed the target {d['target']}",
    "regista.endpoint.created.v1": lambda d: f"created {_where(d)} for {d['model']}",
    "regista.endpoint.updated.v1": lambda d: f"changed what describes {_where(d)}",
    "regista.endpoint.traffic-changed.v1": _traffic,
    "regista.endpoint.rolled-back.v1": lambda d: f"rolled {_where(d)} back to {_served(d)}",
    "regista.endpoint.follow-refused.v1": lambda d: (
        f"{_where(d)} did not follow {d['followed']} to {d['version']}: {d['code']}"
    ),
    "regista.endpoint.deployment-reported.v1": _deployed,
    "regista.endpoint.experiment-concluded.v1": _concluded,
    "regista.endpoint.retired.v1": lambda d: f"retired {_where(d)}",
    "regista.subscription.created.v1": lambda d: f"subscribed {d['subscription']} at {d['url']}",
    "regista.subscription.changed.v1": _subscription_changed,
    "regista.subscription.removed.v1": lambda d: f"removed the subscription {d['subscription']}",
    "regista.log.created.v1": lambda _: "created the log",
    "regista.log.healed.v1": lambda d: (
        f"healed from {d['source']}: {d['restored']} events restored, {d['quarantined']} put aside"
    ),
    "regista.log.imported.v1": lambda d: f"imported {d['events']} events of the log {d['source_log_id']}",
}
