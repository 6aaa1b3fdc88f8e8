"""Views are folds: equal to the simplest replay, whatever the batches, and equal again after a rebuild."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from tests.support.histories import History, wander
from tests.support.naive import replay
from tests.support.projecting import Place, Places, Projection, memory_feed, open_views, running

from regista.domain import commands as c
from regista.projections.catalogue import Entry
from regista.projections.digest import view_digest
from regista.projections.member import Member, apply
from regista.projections.views.catalogue import VIEWS


def random_history(seed: int, steps: int = 150) -> History:
    history = History()
    for _ in wander(history, random.Random(seed), steps):
        pass
    return history


def folded(place: Place, history: History, batch: int, rng: random.Random | None = None) -> dict[str, str]:
    """The digests of all views after folding in batches of some sets."""
    database = open_views(place)
    members = []
    for view in VIEWS:
        entry = Entry(view.name, view.version, 1, "building")
        database.create(view, entry)
        members.append(Member(view, entry))
    sets = list(history.sets)
    while sets:
        size = rng.randint(1, batch) if rng is not None else batch
        rows = [row for rows in sets[:size] for row in rows]
        del sets[:size]
        members = apply(database, members, rows)
    reader = database.reader()
    digests = {view.name: view_digest(reader, view, 1) for view in VIEWS}
    reader.close()
    database.close()
    return digests


@pytest.mark.parametrize("seed", range(6))
def test_the_digest_does_not_depend_on_how_events_are_batched(seed: int, places: Places) -> None:
    history = random_history(seed)
    whole = folded(places("whole"), history, 10_000)
    single = folded(places("single"), history, 1)
    mixed = folded(places("mixed"), history, 40, random.Random(seed))
    assert whole == single == mixed


def test_the_digest_does_not_depend_on_how_a_batch_is_cut_into_sections_and_chunks(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = random_history(7)
    whole = folded(places("whole"), history, 10_000)
    monkeypatch.setattr("regista.projections.member.CHUNK", 7)
    monkeypatch.setattr("regista.projections.member.SECTION", 40)
    monkeypatch.setattr("regista.projections.member._carefully", None)  # which would hide what the quick way cannot do
    assert folded(places("chunks"), history, 10_000) == whole


async def resource(projection: Projection, path: str) -> dict[str, Any]:
    response = await projection.client.get(path)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_views_equal_the_simplest_replay(seed: int, places: Places) -> None:
    history = random_history(seed)
    async with running(memory_feed(history.sets), places()) as projection:
        for key, naive in replay(history.rows).items():
            model = await resource(projection, f"/v1/models/{key}")
            assert (model["model"], model["description"], model["tags"]) == (naive.name, naive.description, naive.tags)
            assert (model["sequence"], model["retired"]) == (naive.sequence, naive.retired)
            assert (model["versions"], model["aliases"]) == (len(naive.versions), naive.aliases())
            stages = {v.stage for v in naive.versions.values()}
            assert model["stages"] == {stage: naive.holders(stage) for stage in stages}
            for number, expected in naive.versions.items():
                version = await resource(projection, f"/v1/models/{key}/versions/{number}")
                assert version["stage"] == expected.stage
                assert version["ordinal"] == expected.ordinal
                assert version["artifact"]["digest"] == expected.digest
                assert (version["tags"], version["description"]) == (expected.tags, expected.description)
                assert version["metrics"] == expected.metrics
                assert [(e["dataset"], e["metrics"]) for e in version["evaluations"]] == expected.evaluations
                assert {c["name"]: c["status"] for c in version["checks"]} == expected.checks
                assert version["aliases"] == sorted(expected.aliases)
                assert version["sequence"] == expected.sequence


async def test_a_rebuild_gives_equal_digests_while_the_log_goes_on(places: Places) -> None:
    history = random_history(11, 300)
    early, late = history.sets[:200], history.sets[200:]
    async with running(memory_feed(early), places()) as projection:
        steps: list[tuple[int, int]] = []

        def progress(position: int, goal: int) -> None:
            steps.append((position, goal))
            for rows in late:
                projection.feed.append(*rows)
            late.clear()

        compared = await projection.projector.rebuild(progress)
        await projection.caught_up()
        assert {c.view: c.equal for c in compared} == {view.name: True for view in VIEWS}
        assert steps
        digests = await projection.projector.digests()
    assert digests == folded(places("again"), history, 17)


async def test_answers_go_neither_wrong_nor_backwards_while_views_are_rebuilt_under_writes(places: Places) -> None:
    history = random_history(12, 60)
    versions = history.states["model/fraud"].last_ordinal
    async with running(memory_feed(history.sets), places()) as projection:
        over = asyncio.Event()

        async def look() -> int:
            position = seen = 0
            while not over.is_set():
                response = await projection.client.get("/v1/models/fraud")
                assert response.status_code == 200, response.text
                assert int(response.headers["Regista-Position"]) >= position
                position = int(response.headers["Regista-Position"])
                model = response.json()
                assert model["versions"] >= max(seen, versions)
                assert sum(len(held) for held in model["stages"].values()) == model["versions"]
                seen = model["versions"]
            return seen

        async def write() -> None:
            seed = 50_000
            while not over.is_set():
                seed += 1
                history.register("fraud", seed)
                await projection.append(history.sets[-1:])

        async def rebuild() -> None:
            for _ in range(3):
                assert all(view.equal for view in await projection.projector.rebuild())
            over.set()

        if history.states["model/fraud"].retired:
            history.do(c.ReviveModel("fraud"))
            await projection.append(history.sets[-1:])
        seen, *_ = await asyncio.gather(look(), look(), write(), rebuild())
    assert seen > versions
