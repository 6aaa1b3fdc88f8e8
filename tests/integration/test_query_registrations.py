"""What registration fixed is answered from the event itself, with what came later, whatever view stands still."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from tests.support.histories import History
from tests.support.projecting import PATIENCE, Places, defective, memory_feed, running
from tests.support.sample_events import minimal

from regista.domain import events as e
from regista.domain import metadata as m
from regista.projections.views.catalogue import VIEWS

COMMIT = "ab" * 20


def imported() -> History:
    """A version whose import lacked code, data and author; they are supplied in two steps."""
    history = History()
    history.register_model("fraud")
    lacking = replace(
        minimal(e.VersionRegistered),
        model="fraud",
        version="1.0.0",
        ordinal=1,
        description="as it was registered",
        datasets=(m.Dataset("old", "1"),),
        metrics={"auc": 0.9},
        incomplete=("code", "author", "trained_at"),
    )
    history.append("model/fraud", [lacking])
    for supplied in (
        e.Supplied(m.Code("https://git.example.org/fraud", COMMIT), (m.Dataset("new", "2"),), {"f1": 0.5}),
        e.Supplied(None, (m.Dataset("newer", "3"),), {}, "ada", datetime(2026, 1, 1, tzinfo=UTC)),
    ):
        history.append("model/fraud", [e.VersionUpdated("fraud", "1.0.0", 1, supplied=supplied)])
    return history


async def test_what_an_incomplete_import_got_later_is_part_of_the_version_now_and_from_then_on(places: Places) -> None:
    history = imported()
    first, second, last = (row.position for row in history.rows[-3:])
    async with running(memory_feed(history.sets), places()) as projection:
        path = "/v1/models/fraud/versions/1.0.0"
        now, *past = [
            (await projection.client.get(f"{path}{query}")).json()
            for query in ("", f"?at={first}", f"?at={second}", f"?at={last}")
        ]
    assert [v["code"] and v["code"]["commit"] for v in (*past, now)] == [None, COMMIT, COMMIT, COMMIT]
    names = [[d["name"] for d in v["datasets"]] for v in (*past, now)]
    assert names == [["old"], ["old", "new"], ["old", "new", "newer"], ["old", "new", "newer"]]
    assert [v["author"] for v in (*past, now)] == [None, None, "ada", "ada"]
    assert [v["trained_at"] for v in (*past, now)] == [None, None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]
    assert (now["metrics"], now["description"]) == ({"auc": 0.9, "f1": 0.5}, "as it was registered")


async def test_a_version_whose_event_the_view_of_events_lacks_is_unavailable_and_others_are_not(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(2):
        history.register("fraud", seed)
    end = history.rows[-1].position

    views = tuple(defective(view, end) if view.name == "events" else view for view in VIEWS)
    feed = memory_feed(history.sets[:-1])
    async with running(feed, places(), views) as projection:
        feed.append(*history.sets[-1])
        async with asyncio.timeout(PATIENCE):
            assert await projection.projector.wait_for(end, PATIENCE, ["versions"])
        there = await projection.client.get("/v1/models/fraud/versions/1")
        missing = await projection.client.get("/v1/models/fraud/versions/2")
        listed = await projection.client.get("/v1/models/fraud/versions")
    assert (there.status_code, missing.status_code, missing.json()["code"]) == (200, 503, "view_behind")
    assert [item["ordinal"] for item in listed.json()["items"]] == [2, 1]
