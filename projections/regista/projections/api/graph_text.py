"""A graph as text to look at: Mermaid and Graphviz. Labels come from users, so both escape them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_SHAPES = {"version": ("[", "]"), "dataset": ("[(", ")]"), "model": ("([", "])"), "artifact": ("[/", "/]")}
_DOT_SHAPES = {"version": "box", "dataset": "cylinder", "model": "oval", "artifact": "folder"}


def mermaid(nodes: Mapping[str, str], edges: Iterable[tuple[str, str, str]]) -> str:
    """A Mermaid flow chart, left to right: from what was used to what was made of it."""
    names = {node: f"n{index}" for index, node in enumerate(nodes)}
    lines = ["flowchart LR"]
    for node, label in nodes.items():
        kind = node.partition(":")[0]
        left, right = _SHAPES.get(kind, ("(", ")"))
        lines.append(f'  {names[node]}{left}"{kind}: {_mermaid(label)}"{right}')
    lines.extend(f'  {names[s]} -->|"{_mermaid(relation)}"| {names[t]}' for s, t, relation in edges)
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """Text inside quotes: everything that could end them or start markup becomes an entity code."""
    return "".join(c if c.isalnum() or c in " .,:/@_-" else f"#{ord(c)};" for c in text)


def dot(nodes: Mapping[str, str], edges: Iterable[tuple[str, str, str]]) -> str:
    """A Graphviz digraph, left to right."""
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for node, label in nodes.items():
        kind = node.partition(":")[0]
        lines.append(f"  {_dot(node)} [label={_dot(f'{kind}: {label}')}, shape={_DOT_SHAPES.get(kind, 'ellipse')}];")
    lines.extend(f"  {_dot(s)} -> {_dot(t)} [label={_dot(relation)}];" for s, t, relation in edges)
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    safe = "".join(c if c.isprintable() else " " for c in text)
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'
