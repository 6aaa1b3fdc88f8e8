"""What a read gives back before it becomes HTTP, and the pieces of JSON that answers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from regista.domain.times import moment
from regista.projections.changes import FOREVER

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is encoded. ``sequence`` of the last event that touched the resource makes the ETag, None: no ETag."""

    body: bytes
    sequence: int | None = None
    media: str = JSON


def encode(value: object) -> bytes:
    """JSON with times in UTC as ``Z``."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def page(items: Sequence[object], following: str | int | None) -> Answer:
    """One page of a list."""
    return Answer(encode({"items": items, "next": following}))


def raw(text: str) -> orjson.Fragment:
    """A column of JSON, taken over as it stands."""
    return orjson.Fragment(text)


def ended(to_position: int) -> int | None:
    """The end of an interval, None while it lasts."""
    return None if to_position == FOREVER else to_position


def joined(first: str, second: Sequence[dict[str, Any]]) -> orjson.Fragment:
    """A JSON list as text, with items added."""
    if not second:
        return orjson.Fragment(first)
    if first == "[]":
        return orjson.Fragment(encode(second))
    return orjson.Fragment(first[:-1].encode() + b"," + encode(second)[1:])


def evaluation(
    dataset: str | None, slice_: str | None, metrics: str, time: int, actor: str, position: int
) -> dict[str, Any]:
    """An evaluation that was recorded."""
    return {
        "dataset": None if dataset is None else raw(dataset),
        "slice": slice_,
        "metrics": raw(metrics),
        "at": moment(time),
        "actor": actor,
        "position": position,
    }


def check(name: str, status: str, url: str | None, summary: str | None, time: int, actor: str) -> dict[str, Any]:
    """The newest report of a check."""
    return {"name": name, "status": status, "url": url, "summary": summary, "at": moment(time), "actor": actor}
