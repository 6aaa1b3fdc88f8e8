"""What a registration fixed, taken from the event itself when somebody asks: the views keep what lists and filters need.

Reading an event takes a tenth of a millisecond, and it never changes: the last few are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson

from regista.domain.errors import Damaged, Unavailable
from regista.projections.decoding import Record
from regista.projections.views.versions import dumps
from regista.schemas.codec import decode
from regista.schemas.errors import SchemaError

REMEMBERED = 500
"""Registrations: about 5 KB each."""
_FIXED = [
    "policy",
    "numbering",
    "change",
    "artifact",
    "code",
    "related_code",
    "datasets",
    "features",
    "configuration",
    "signature",
    "runtime",
    "run",
    "parents",
    "dependencies",
    "trained_at",
]
"""The fields that answers take over as they stand; ``custom`` too, which is JSON already."""


@dataclass(frozen=True, slots=True)
class Registration:
    """``document`` is the JSON object of what never changes, ``evaluations`` the JSON list of those that came along."""

    document: bytes
    evaluations: str
    description: str


def registration(position: int, value: bytes | None) -> Registration:
    """What the event at a position, a registration, says.

    Raises:
        Unavailable: ``view_behind``: the view of events does not have it.
        Damaged: ``undecodable_event``.
    """
    if value is None:
        raise Unavailable(
            f"the view of events does not have position {position}",
            code="view_behind",
            hint="GET /v1/status shows how far each view is and why one stands still.",
        )
    try:
        return _read(position, value)
    except SchemaError as error:
        raise Damaged(f"position {position}: {error}", code="undecodable_event") from error


@lru_cache(maxsize=REMEMBERED)
def _read(position: int, value: bytes) -> Registration:
    record = decode(value).record
    fixed = {name: record[name] for name in _FIXED}
    custom = record["custom"]
    fixed["custom"] = None if custom is None else orjson.Fragment(custom)
    evaluations = [_given(evaluation, record["meta"], position) for evaluation in record["evaluations"]]
    return Registration(dumps(fixed), dumps(evaluations).decode(), record["description"])


def _given(evaluation: Record, meta: Record, position: int) -> Record:
    """An evaluation that came with the registration, in the form of those recorded later."""
    return {**evaluation, "at": meta["time"], "actor": meta["actor"], "position": position}


def completed(document: bytes, supplied: str | None) -> bytes:
    """The document with what an incomplete import lacked and got later."""
    if supplied is None:
        return document
    fixed, later = orjson.loads(document), orjson.loads(supplied)
    fixed["code"] = later["code"] or fixed["code"]
    fixed["datasets"] = [*fixed["datasets"], *later["datasets"]]
    fixed["trained_at"] = later["trained_at"] or fixed["trained_at"]
    return dumps(fixed)
