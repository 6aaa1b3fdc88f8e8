"""Reads of lineage: what a thing was made from, and what was made of it, as a graph around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from regista.domain.errors import Malformed, NotFound
from regista.domain.references import endpoint_stream, parse_endpoint
from regista.projections.api.answers import Answer, encode
from regista.projections.api.graph_text import dot, mermaid
from regista.projections.api.resolve import find_version, model_key
from regista.projections.reader import Reader
from regista.projections.views.lineage import node_hash, version_node

V = TypeVar("V")
MAX_NODES = 1_000
MAX_EDGES = 5_000
DEFAULT_DEPTH = 3
MAX_DEPTH = 50
KINDS = ("version", "model", "dataset", "features", "code", "run", "artifact", "endpoint")
OUTWARD = frozenset({"stored-as", "version-of"})
"""Relations whose thing is made of the version; all others are what the version was made from."""
SERVED_BY = "served-by"
"""The relation of a version to the endpoints that serve it, or did."""

_CHUNK = 500
_UPSTREAM = "SELECT node_hash, node, label, edges FROM upstream_v1 WHERE node_hash IN ({marks}) ORDER BY position"
_SERVED_BY = (
    "SELECT s.model_key, s.version, s.endpoint_key FROM servings_v1 s WHERE (s.model_key, s.version) IN (VALUES {marks}) "
    "ORDER BY s.endpoint_key LIMIT ?"
)
_SERVES = (
    "SELECT m.model, s.version, s.endpoint_key FROM servings_v1 s JOIN models_v1 m ON m.model_key = s.model_key "
    "WHERE s.endpoint_key IN ({marks}) "
    "ORDER BY s.model_key, s.version LIMIT ?"
)
_USERS = (
    "SELECT node_hash, node, label, edges FROM upstream_v1 WHERE node_hash IN "
    "(SELECT DISTINCT user_hash FROM uses_v1 WHERE node_hash IN ({marks}) LIMIT ?) ORDER BY position"
)


@dataclass(slots=True)
class Graph:
    """Nodes with their labels, and edges: source, target, relation. ``truncated``: there is more."""

    root: str
    nodes: dict[str, str] = field(default_factory=dict)
    edges: dict[tuple[str, str, str], None] = field(default_factory=dict)
    truncated: bool = False


def lineage(reader: Reader, arguments: Mapping[str, Any]) -> Answer:
    """``GET /v1/lineage``."""
    root = _root(reader, arguments["node"])
    direction = arguments.get("direction", "both")
    graph = Graph(root)
    if not _known(reader, graph, root):
        raise NotFound(
            f"no lineage knows {root}",
            code="unknown_node",
            hint="A node is kind:name, such as version:fraud/1.4.0, dataset:transactions@2026-05, code:<commit>.",
        )
    depth = arguments.get("depth", DEFAULT_DEPTH)
    if direction in ("both", "upstream"):
        _walk(reader, graph, depth, upstream=True)
    if direction in ("both", "downstream"):
        _walk(reader, graph, depth, upstream=False)
    match arguments.get("format", "json"):
        case "mermaid":
            return Answer(mermaid(graph.nodes, graph.edges).encode(), media="text/plain; charset=utf-8")
        case "dot":
            return Answer(dot(graph.nodes, graph.edges).encode(), media="text/vnd.graphviz; charset=utf-8")
        case _:
            return Answer(encode(_resource(graph)))


def _resource(graph: Graph) -> dict[str, Any]:
    return {
        "root": graph.root,
        "nodes": [{"id": n, "kind": n.partition(":")[0], "label": label} for n, label in graph.nodes.items()],
        "edges": [{"source": s, "target": t, "relation": r} for s, t, r in graph.edges],
        "truncated": graph.truncated,
    }


def _root(reader: Reader, text: str) -> str:
    """The id of the node asked for: a version may be named by any reference, models regardless of case."""
    kind, _, name = text.partition(":")
    if kind not in KINDS or not name:
        raise Malformed(f"node={text[:80]!r} is not kind:name", code="bad_node", hint=f"Kinds are {', '.join(KINDS)}.")
    if kind == "model":
        return f"model:{model_key(name)}"
    if kind == "endpoint":
        return endpoint_stream(*parse_endpoint(name)).replace("/", ":", 1)
    if kind == "version":
        model, _, ref = name.partition("/")
        if not ref:
            raise Malformed("a version is version:MODEL/REF", code="bad_node")
        key = model_key(model)
        return version_node(key, find_version(reader, key, ref)[1])
    return text


def _known(reader: Reader, graph: Graph, node: str) -> bool:
    for found, label, _ in _made(reader, [node]):
        graph.nodes[found] = label
        return True
    users, served = _users(reader, [node], graph, limit=1), _servings(reader, [node], graph, upstream=True)
    if next(users, None) is None and next(served, None) is None:
        return False
    graph.nodes[node] = _label(node)
    return True


def _walk(reader: Reader, graph: Graph, depth: int, *, upstream: bool) -> None:
    """Follow the edges breadth first. Every node is visited once, so that cycles end."""
    seen = {graph.root}
    level = [graph.root]
    for _ in range(depth):
        if not level or graph.truncated:
            return
        reached: dict[str, str] = {}
        for edge, label in _edges(reader, level, graph, upstream=upstream):
            other = edge[0] if upstream else edge[1]
            if (other not in graph.nodes and len(graph.nodes) >= MAX_NODES) or len(graph.edges) >= MAX_EDGES:
                graph.truncated = True
                return
            graph.edges[edge] = None
            graph.nodes.setdefault(other, label)
            if other not in seen:
                reached[other] = label
                seen.add(other)
        level = list(reached)
    if level and next(_edges(reader, level, graph, upstream=upstream), None) is not None:
        graph.truncated = True


def _edges(
    reader: Reader, level: Iterable[str], graph: Graph, *, upstream: bool
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """The edges that end (upstream) or begin (downstream) at these nodes, with the label of the other end."""
    nodes = list(level)
    for node, _, edges in _made(reader, nodes):
        for used, relation in edges:
            if (relation in OUTWARD) != upstream:
                edge = (node, used, relation) if relation in OUTWARD else (used, node, relation)
                yield edge, _label(used)
    yield from _servings(reader, nodes, graph, upstream=upstream)
    wanted = set(nodes)
    for node, label, edges in _users(reader, nodes, graph, limit=MAX_NODES + 1):
        for used, relation in edges:
            if used in wanted and (relation in OUTWARD) == upstream:
                edge = (node, used, relation) if relation in OUTWARD else (used, node, relation)
                yield edge, label


def _servings(
    reader: Reader, nodes: list[str], graph: Graph, *, upstream: bool
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """The versions that these endpoints served (upstream), or the endpoints that served these versions."""
    kind, sql = ("endpoint:", _SERVES) if upstream else ("version:", _SERVED_BY)
    keys = [node.removeprefix(kind) for node in nodes if node.startswith(kind)]
    for chunk in _chunks(keys):
        marks = _marks(chunk) if upstream else ", ".join(["(?, ?)"] * len(chunk))
        values = chunk if upstream else [part for key in chunk for part in key.split("/", 1)]
        rows = reader.rows(sql.format(marks=marks), (*values, MAX_NODES + 1))
        for model, version, endpoint in rows:
            edge = (version_node(model, version), f"endpoint:{endpoint}", SERVED_BY)
            yield edge, f"{model} {version}" if upstream else endpoint
        if len(rows) > MAX_NODES:
            graph.truncated = True


def _made(reader: Reader, nodes: list[str]) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Those of the nodes that are versions, with their label and edges."""
    wanted = {node_hash(node): node for node in nodes if node.startswith("version:")}
    for hashes in _chunks(list(wanted)):
        for _, node, label, edges in reader.rows(_UPSTREAM.format(marks=_marks(hashes)), hashes):
            if node in wanted.values():
                yield node, label, orjson.loads(edges)


def _users(reader: Reader, nodes: list[str], graph: Graph, *, limit: int) -> Iterator[tuple[str, str, list[list[str]]]]:
    """The versions that name one of the nodes, with their label and edges."""
    for hashes in _chunks([node_hash(node) for node in nodes]):
        rows = reader.rows(_USERS.format(marks=_marks(hashes)), (*hashes, limit))
        for _, node, label, edges in rows:
            yield node, label, orjson.loads(edges)
        if len(rows) >= limit > 1:
            graph.truncated = True


def _label(node: str) -> str:
    return node.partition(":")[2]


def _chunks(values: list[V]) -> Iterator[list[V]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _marks(values: Sized) -> str:
    return ", ".join("?" * len(values))
