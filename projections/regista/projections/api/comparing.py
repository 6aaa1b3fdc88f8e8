"""Two versions side by side, and what changed hands between two moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from regista.domain.errors import Malformed
from regista.domain.references import DEFAULT_STAGES
from regista.projections.api.answers import Answer, encode
from regista.projections.api.moments import position_at
from regista.projections.api.resolve import model_key, need_model
from regista.projections.api.versions import version
from regista.projections.reader import Reader

MAX_CHANGES = 10_000
_IDENTITY = frozenset({"model", "version", "ordinal", "position", "sequence", "at", "metrics", "created_at", "aliases"})
"""What differs between any two versions, or is shown apart."""
_ABSENT = object()
_SERVING = f" AND stage NOT IN ('{DEFAULT_STAGES[0]}', '{DEFAULT_STAGES[-1]}')"
"""Every version enters the first stage and many end in the last: that is no news."""

_MOVED = """
    SELECT DISTINCT model_key, {name} FROM {table}
    WHERE ((from_position > ?1 AND from_position <= ?2) OR (to_position > ?1 AND to_position <= ?2))
    {condition}{serving} ORDER BY 1, 2 LIMIT {limit}"""
_HELD = (
    "SELECT version FROM {table} WHERE model_key = ? AND {name} = ? AND to_position > ? AND from_position <= ? "
    "ORDER BY from_position DESC, ordinal"
)


def compare(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/compare?left=model/ref&right=model/ref``."""
    left, right = (_side(reader, arguments[side], side) for side in ("left", "right"))
    differences = [
        {"path": path, "left": a, "right": b}
        for path, a, b in _differences(_without_identity(left), _without_identity(right), "")
    ]
    names = sorted({*left["metrics"], *right["metrics"]})
    return Answer(
        encode(
            {
                "left": f"{left['model']}/{left['version']}",
                "right": f"{right['model']}/{right['version']}",
                "differences": differences,
                "metrics": {n: {"left": left["metrics"].get(n), "right": right["metrics"].get(n)} for n in names},
            }
        )
    )


def _side(reader: Reader, text: str, side: str) -> dict[str, Any]:
    model, slash, ref = text.partition("/")
    if not slash or not ref:
        raise Malformed(
            f"{side}={text[:80]!r} is not MODEL/REF", code="bad_parameter", hint="Such as fraud/@production."
        )
    found: dict[str, Any] = orjson.loads(version(reader, {"model": model, "ref": ref}).body)
    return found


def _without_identity(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in _IDENTITY}


def _differences(left: object, right: object, path: str) -> Iterator[tuple[str, object, object]]:
    """The leaves that differ: objects by name, lists by place; null where one side has nothing."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted({*left, *right}):
            inner = f"{path}.{name}" if path else name
            yield from _differences(left.get(name, _ABSENT), right.get(name, _ABSENT), inner)
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            a = left[index] if index < len(left) else _ABSENT
            b = right[index] if index < len(right) else _ABSENT
            yield from _differences(a, b, f"{path}[{index}]")
    elif left != right or type(left) is not type(right):
        yield path, None if left is _ABSENT else left, None if right is _ABSENT else right


def diff(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/diff?from=&to=``: stages that serve, and aliases, whose holders differ; ``to`` defaults to now."""
    start = position_at(reader, arguments["from"], "from")
    last = reader.row("SELECT max(position) FROM events_v1") or (0,)
    end = position_at(reader, arguments["to"], "to") if "to" in arguments else int(last[0] or 0)
    if start > end:
        raise Malformed(f"from ({start}) is after to ({end})", code="bad_parameter", hint="Swap them.")
    key = model_key(arguments["model"]) if "model" in arguments else None
    if key is not None:
        need_model(reader, key)
    count = reader.row("SELECT count(*) FROM events_v1 WHERE position > ? AND position <= ?", (start, end)) or (0,)
    changes = [
        *_changes(reader, "stages_v1", "stage", (start, end), key, _SERVING),
        *_changes(reader, "aliases_v1", "alias", (start, end), key, ""),
    ]
    return Answer(encode({"start": start, "end": end, "events": count[0], "changes": changes}))


def _changes(
    reader: Reader, table: str, name: str, moments: tuple[int, int], key: str | None, serving: str
) -> Iterator[dict[str, Any]]:
    condition, values = ("", moments) if key is None else ("AND model_key = ?3", (*moments, key))
    sql = _MOVED.format(table=table, name=name, condition=condition, serving=serving, limit=MAX_CHANGES)
    moved = reader.rows(sql, values)
    held = _HELD.format(table=table, name=name)
    for model, thing in moved:
        before, after = ([v for (v,) in reader.rows(held, (model, thing, at, at))] for at in moments)
        if before != after:
            yield {
                "model": need_model(reader, model),
                "kind": name,
                "name": thing,
                "before": before,
                "after": after,
            }
