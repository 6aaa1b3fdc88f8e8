"""Events over the query API: the log with its hashes, by filter, and the history of a version."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.histories import History
from tests.support.projecting import Places, Projection, folded_at, memory_feed, running
from tests.support.querying import get

from regista.domain import commands as c
from regista.domain.chain import event_hash
from regista.projections.api.events import events as read_events
from regista.projections.sqlite.reader import SQLiteReader


async def events(projection: Projection, **parameters: object) -> list[Any]:
    found: list[Any] = []
    while True:
        answer = await get(projection, "/v1/events", limit=17, **parameters)
        found += answer["items"]
        if answer["next"] is None:
            return found
        parameters["after"] = answer["next"]


async def test_events_are_the_log_with_its_hashes(projection: Projection, history: History) -> None:
    found = await events(projection)
    assert [e["position"] for e in found] == [row.position for row in history.rows]
    for row, event in zip(history.rows, found, strict=True):
        assert event["hash"] == event_hash(row.stream, row.sequence, row.value).hex()
        assert "meta" not in event["data"]
    assert await events(projection, order="desc") == found[::-1]


@pytest.mark.parametrize(
    ("parameters", "holds"),
    [
        ({"model": "FRAUD"}, lambda e: e["stream"] == "model/fraud"),
        ({"stream": "log/log-1"}, lambda e: e["stream"] == "log/log-1"),
        ({"actor": "bob"}, lambda e: e["actor"] == "bob"),
        ({"type": "version.promoted"}, lambda e: e["type"] == "regista.version.promoted.v1"),
        (
            {"type": "regista.version.promoted.v1", "actor": "ada"},
            lambda e: e["type"] == "regista.version.promoted.v1" and e["actor"] == "ada",
        ),
        ({"actor": "bob", "model": "churn"}, lambda e: e["stream"] == "model/churn" and e["actor"] == "bob"),
        ({"since": 40, "until": 90}, lambda e: 40 <= e["position"] <= 90),
        (
            {"since": "2026-01-01T00:00:40Z", "until": "2026-01-01T00:01:00+00:00"},
            lambda e: "00:00:40" <= e["time"][11:19] <= "00:01:00",
        ),
        ({"actor": "bob", "since": 60}, lambda e: e["actor"] == "bob" and e["position"] >= 60),
        ({"actor": "nobody"}, lambda _: False),
    ],
)
async def test_event_filters_agree_with_a_look_at_every_event(
    projection: Projection, parameters: dict[str, object], holds: Any
) -> None:
    everything_there = await events(projection)
    expected = [event for event in everything_there if holds(event)]
    assert await events(projection, **parameters) == expected
    assert await events(projection, order="desc", **parameters) == expected[::-1]


async def test_a_mistyped_type_is_answered_with_those_that_look_like_it(projection: Projection) -> None:
    body = (await projection.client.get("/v1/events?type=version.promotd")).json()
    assert "version.promoted" in body["hint"]


async def test_the_history_of_a_version_names_what_displaced_it_and_what_took_its_alias(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(2):
        history.register("fraud", seed)
    for number in ("1.0.0", "1.1.0"):
        for stage in ("staging", "production"):
            history.do(c.Promote("fraud", number, stage))
        history.do(c.AssignAlias("fraud", "champion", number))
    async with running(memory_feed(history.sets), places()) as projection:
        types = [
            e["type"].split(".")[2] + ":" + e["data"]["version"]
            for e in await events(projection, model="fraud", version="1")
        ]
    assert types == [
        "registered:1.0.0",
        "promoted:1.0.0",
        "promoted:1.0.0",
        "assigned:1.0.0",
        "promoted:1.1.0",
        "assigned:1.1.0",
    ]


async def test_a_page_of_large_events_ends_early_and_is_gone_on_with(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for _ in range(40):
        history.do(c.UpdateModel("fraud", description="x" * 400_000))
    async with running(memory_feed(history.sets), places()) as projection:
        for order in ("asc", "desc"):
            positions: list[int] = []
            after: dict[str, int] = {}
            while True:
                response = await projection.client.get("/v1/events", params={"limit": 1000, "order": order, **after})
                assert len(response.content) < 9 * 2**20
                page = response.json()
                positions += [item["position"] for item in page["items"]]
                if page["next"] is None:
                    break
                after = {"after": page["next"]}
            assert sorted(positions) == [row.position for row in history.rows]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"actor": "ada"},
        {"type": "version.promoted"},
        {"model": "fraud"},
        {"model": "fraud", "version": "1"},
        {"model": "fraud", "version": "1", "actor": "ada", "type": "version.registered"},
    ],
)
async def test_no_page_of_events_is_sorted(
    history: History, tmp_path_factory: pytest.TempPathFactory, filters: dict[str, str], order: str
) -> None:
    place = tmp_path_factory.getbasetemp() / "unsorted.db"
    if not place.exists():
        await asyncio.to_thread(folded_at, place, history.sets)
    reader = SQLiteReader(place)
    statements: list[str] = []
    reader._connection.set_trace_callback(statements.append)
    read_events(reader, {**filters, "order": order})
    [asked] = [statement for statement in statements if "ORDER BY" in statement and "e.value" in statement]
    plan = [row[3] for row in reader.rows(f"EXPLAIN QUERY PLAN {asked}")]
    reader.close()
    assert plan
    assert not [step for step in plan if "TEMP B-TREE" in step]
