"""Answers that set things beside each other: lineage, comparisons of versions, differences between moments."""

from __future__ import annotations

from regista.wire.base import Resource


class LineageNode(Resource):
    """``id`` is ``kind:name``, e.g. ``version:fraud/1.4.0``, ``dataset:transactions@2026-05``, ``code:<commit>``."""

    id: str
    kind: str
    label: str


class LineageEdge(Resource):
    """From what was used to what was made of it."""

    source: str
    target: str
    relation: str


class Lineage(Resource):
    """``GET /v1/lineage``."""

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool = False


class Difference(Resource):
    """One field that differs: its path, and the value on either side (null where absent)."""

    path: str
    left: object = None
    right: object = None


class Comparison(Resource):
    """``GET /v1/compare?left=model/ref&right=model/ref``."""

    left: str
    right: str
    differences: list[Difference]
    metrics: dict[str, dict[str, float | None]]


class StageChange(Resource):
    """What one stage or alias held at two moments."""

    model: str
    kind: str
    name: str
    before: list[str]
    after: list[str]


class Diff(Resource):
    """``GET /v1/diff?from=&to=``: what changed hands between two moments, and the events between them."""

    start: int
    end: int
    events: int
    changes: list[StageChange]
