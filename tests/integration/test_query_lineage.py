"""Lineage: upstream and downstream, cycles, limits, and text that users cannot break out of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.histories import History, digest, registration
from tests.support.projecting import Places, Projection, memory_feed, running

from regista.domain import commands as c
from regista.domain import metadata as m
from regista.domain.events import VersionRegistered
from regista.domain.model.context import Context, KnownArtifact
from regista.domain.model.decide import decide
from regista.projections.api import lineage
from regista.projections.api.graph_text import dot, mermaid


def family() -> History:
    """Base 1.0.0 -> tuned 1.0.0 -> distilled 1.0.0, which needs tokenizer 1.0.0 when it serves."""
    history = History()
    for model in ("base", "tuned", "distilled", "tokenizer"):
        history.register_model(model)
    history.register("base", 1)
    history.register("tokenizer", 2)
    history.register("tuned", 3, parents=(m.Parent("Base", "1.0.0", "fine-tuned"),))
    history.register(
        "distilled",
        4,
        parents=(m.Parent("tuned", "1.0.0", "distilled"),),
        dependencies=(m.Dependency("tokenizer", "1.0.0", "tokenizer"),),
        datasets=(m.Dataset("clicks", "2026-05", None, "sha256:" + "a" * 64),),
    )
    return history


async def graph(projection: Projection, node: str, **parameters: object) -> dict[str, Any]:
    query = {"node": node, **{k: str(v) for k, v in parameters.items()}}
    response = await projection.client.get("/v1/lineage", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def edges(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(edge["source"], edge["target"], edge["relation"]) for edge in found["edges"]}


async def test_upstream_is_what_it_was_made_from_and_downstream_what_was_made_of_it(places: Places) -> None:
    async with running(memory_feed(family().sets), places()) as projection:
        up = await graph(projection, "version:distilled/1.0.0", direction="upstream", depth=10)
        assert {
            ("version:base/1.0.0", "version:tuned/1.0.0", "fine-tuned"),
            ("version:tuned/1.0.0", "version:distilled/1.0.0", "distilled"),
            ("version:tokenizer/1.0.0", "version:distilled/1.0.0", "needs-tokenizer"),
            (f"dataset:clicks@2026-05#sha256:{'a' * 64}", "version:distilled/1.0.0", "trained-on"),
            ("run:mlflow/run-4", "version:distilled/1.0.0", "logged-by"),
        } <= edges(up)
        assert not any(node["kind"] in ("model", "artifact") for node in up["nodes"])
        down = await graph(projection, "version:Base/1", direction="downstream", depth=10)
        versions = {node["id"] for node in down["nodes"] if node["kind"] == "version"}
        assert versions == {"version:base/1.0.0", "version:tuned/1.0.0", "version:distilled/1.0.0"}
        assert ("version:distilled/1.0.0", "model:distilled", "version-of") in edges(down)


async def test_a_version_is_linked_to_what_it_was_evaluated_on_whenever_that_was(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    slices = tuple(m.Evaluation(m.Dataset("holdout"), part, {"auc": 0.9}) for part in ("DE", "IT"))
    history.register("fraud", evaluations=(*slices, m.Evaluation(None, None, {"auc": 0.8})))
    async with running(memory_feed(history.sets), places()) as projection:
        version = "version:fraud/1.0.0"
        later = [c.RecordEvaluation("fraud", "1", {"auc": 0.7}, data) for data in (m.Dataset("fresh", "2"), None)]
        await projection.append([history.do(command) for command in later])
        upstream = await graph(projection, version, direction="upstream")
        evaluated = [e["source"] for e in upstream["edges"] if e["relation"] == "evaluated-on"]
        assert evaluated == ["dataset:holdout", "dataset:fresh@2"]
        for dataset in evaluated:
            assert edges(await graph(projection, dataset, depth=1)) == {(dataset, version, "evaluated-on")}


async def test_any_thing_can_be_the_root(places: Places) -> None:
    async with running(memory_feed(family().sets), places()) as projection:
        whole = await graph(projection, "version:distilled/1.0.0")
        for node in whole["nodes"]:
            found = await graph(projection, node["id"], depth=1)
            assert found["root"] == node["id"]
            assert found["edges"]
        used_by = await graph(projection, f"dataset:clicks@2026-05#sha256:{'a' * 64}", direction="downstream", depth=1)
        assert {e[1] for e in edges(used_by)} == {"version:distilled/1.0.0"}


async def test_depth_cuts_and_says_so(places: Places) -> None:
    async with running(memory_feed(family().sets), places()) as projection:
        near = await graph(projection, "version:distilled/1.0.0", direction="upstream", depth=1)
        far = await graph(projection, "version:distilled/1.0.0", direction="upstream", depth=3)
    assert near["truncated"]
    assert not far["truncated"]
    assert edges(near) < edges(far)


async def test_a_cycle_ends(places: Places) -> None:
    history = family()
    history.register_model("loop")
    artifact = KnownArtifact(m.Artifact("s3://x", digest("x"), 1, "onnx"))
    command = c.RegisterVersion("loop", "1.0.0", **registration(9))  # type: ignore[arg-type]  # fields of the command
    [decided] = decide(history.states["model/loop"], command, Context(artifact=artifact))
    assert isinstance(decided, VersionRegistered)
    # the rules let no parent come after its child; a log of another origin may hold it all the same
    first = replace(decided, parents=tuple(m.Parent("loop", v, "derived-from") for v in ("1.0.0", "2.0.0")))
    second = replace(first, version="2.0.0", ordinal=2, parents=(m.Parent("loop", "1.0.0", "derived-from"),))
    history.append("model/loop", [first, second])
    async with running(memory_feed(history.sets), places()) as projection:
        found = await graph(projection, "version:loop/1.0.0", depth=50)
    loop = {("version:loop/1.0.0", "version:loop/2.0.0"), ("version:loop/2.0.0", "version:loop/1.0.0")}
    assert loop <= {(source, target) for source, target, _ in edges(found)}
    assert not found["truncated"]


async def test_a_graph_too_large_is_cut_and_says_so(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "MAX_NODES", 10)
    history = History()
    history.register_model("fraud")
    for seed in range(30):
        history.register("fraud", seed)
    async with running(memory_feed(history.sets), places()) as projection:
        found = await graph(projection, "model:fraud")
    assert found["truncated"]
    assert len(found["nodes"]) <= 10


@pytest.mark.parametrize("form", ["mermaid", "dot"])
async def test_the_same_graph_as_text(form: str, places: Places) -> None:
    async with running(memory_feed(family().sets), places()) as projection:
        query = {"node": "version:tuned/1.0.0", "format": form}
        response = await projection.client.get("/v1/lineage", params=query)
        found = await graph(projection, "version:tuned/1.0.0")
    assert response.headers["content-type"].startswith("text/")
    arrow = "-->" if form == "mermaid" else "->"
    assert response.text.count(f" {arrow}") == len(found["edges"])


def test_labels_cannot_break_out_of_the_text() -> None:
    evil = 'x"] --> y; click n0 "javascript:alert(1)"\n%%{init}%%\\'
    nodes = {f"dataset:{evil}": evil, "version:a/1": "a 1"}
    lines = mermaid(nodes, [(f"dataset:{evil}", "version:a/1", evil)]).splitlines()
    assert len(lines) == 4
    assert all(line.count('"') == 2 for line in lines[1:])
    text = dot(nodes, [(f"dataset:{evil}", "version:a/1", evil)])
    assert len(text.splitlines()) == 6
    assert '\\"' in text
