"""The query API over HTTP: references, freshness, ETags, paging, events, and refusals."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.support.histories import History, digest, wander
from tests.support.projecting import Place, Places, Projection, folded_at, memory_feed, running

from regista.domain import commands as c
from regista.domain.chain import event_hash
from regista.projections.api.events import events as read_events
from regista.projections.api.models import SHOWN_PER_STAGE
from regista.projections.api.queries import Queries
from regista.projections.api.routes import ROUTES
from regista.projections.sqlite.reader import SQLiteReader


@pytest.fixture(scope="module")
def history() -> History:
    history = History()
    for _ in wander(history, random.Random(3), 150):
        pass
    return history


@pytest.fixture(scope="module")
def folded(history: History, shared_places: Places) -> Place:
    return folded_at(shared_places(), history.sets)


@pytest.fixture
async def projection(history: History, folded: Place) -> AsyncIterator[Projection]:
    """Only for reading: it is the same for all tests of this module."""
    async with running(memory_feed(history.sets), folded) as projection:
        yield projection


@pytest.fixture
async def growing(history: History, places: Places) -> AsyncIterator[Projection]:
    """The same for a test that appends."""
    async with running(memory_feed(history.sets), places()) as projection:
        yield projection


async def get(projection: Projection, path: str, **parameters: object) -> Any:
    response = await projection.client.get(path, params={k: str(v) for k, v in parameters.items()})
    assert response.status_code == 200, response.text
    return response.json()


async def everything(projection: Projection, path: str, limit: int, **parameters: object) -> list[Any]:
    items, following = [], None
    while True:
        page: dict[str, str] = {} if following is None else {"page": following}
        answer = await get(projection, path, limit=limit, **parameters, **page)
        items += answer["items"]
        assert len(answer["items"]) <= limit
        if (following := answer["next"]) is None:
            return items


PATHS = {
    "list_models": "/v1/models",
    "get_model": "/v1/models/FRAUD",
    "list_model_versions": "/v1/models/fraud/versions",
    "get_version": "/v1/models/fraud/versions/1",
    "list_aliases": "/v1/models/churn/aliases",
    "get_alias": "/v1/models/{model}/aliases/{alias}",
    "get_stage": "/v1/models/fraud/stages/staging",
    "search_versions": "/v1/versions",
    "get_production": "/v1/production",
    "list_events": "/v1/events",
    "get_lineage": "/v1/lineage?node=model:fraud",
    "compare_versions": "/v1/compare?left=fraud/1&right=churn/2",
    "get_diff": "/v1/diff?from=10",
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_answer_is_of_its_documented_shape_and_says_its_position(
    route: Any, projection: Projection
) -> None:
    path = PATHS[route.name]
    if "{alias}" in path:
        [one, *_] = [m for m in (await get(projection, "/v1/models"))["items"] if m["aliases"]]
        path = path.format(model=one["model"], alias=next(iter(one["aliases"])))
    response = await projection.client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["Regista-Position"] == str(projection.feed.end)
    known = TypeAdapter(route.model).dump_python(TypeAdapter(route.model).validate_json(response.content), mode="json")
    assert set(known) == set(response.json())
    if known.get("items"):
        assert set(known["items"][0]) == set(response.json()["items"][0])


async def test_the_document_describes_every_route_and_parameter(projection: Projection) -> None:
    document = await get(projection, "/openapi.json")
    for route in ROUTES:
        operation = document["paths"][route.path]["get"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert {parameter.name for parameter in route.parameters} | {"min_position"} <= names
        assert "200" in operation["responses"]


async def test_a_version_is_found_by_every_form_of_reference(places: Places) -> None:
    history = History()
    history.register_model("Fraud")
    number = history.register("Fraud", 1)
    history.register("Fraud", 2)
    history.do(c.Promote("Fraud", number, "staging"))
    history.do(c.Promote("Fraud", number, "production"))
    history.do(c.AssignAlias("Fraud", "Champion", number))
    async with running(memory_feed(history.sets), places()) as projection:
        forms = ("1.0.0", "v1.0.0", "1", "@champion", "@Champion", "@production", "stage:production")
        for ref in (*forms, digest("Fraud-1"), digest("file-Fraud-1")):
            for model in ("fraud", "FRAUD"):
                assert (await get(projection, f"/v1/models/{model}/versions/{ref}"))["version"] == "1.0.0"


async def test_a_digest_of_several_versions_is_refused_with_their_list(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    history.register("fraud", 1)
    history.register("fraud", 1)
    async with running(memory_feed(history.sets), places()) as projection:
        response = await projection.client.get(f"/v1/models/fraud/versions/{digest('fraud-1')}")
    assert (response.status_code, response.json()["code"]) == (409, "ambiguous_reference")
    assert len(response.json()["reasons"]) == 2


async def test_the_hot_path_answers_from_one_moment(tmp_path: Path) -> None:
    history = History()
    history.register_model("fraud")
    number = history.register("fraud", 1)
    history.do(c.RecordEvaluation("fraud", number, {"auc": 0.9}))
    for stage in ("staging", "production"):
        history.do(c.Promote("fraud", number, stage))
    async with running(memory_feed(history.sets), tmp_path / "views.db") as projection:
        before = await get(projection, "/v1/models/fraud/versions/1.0.0")
        queries = Queries(projection.database, projection.projector, lambda: 0)
        rival = sqlite3.connect(tmp_path / "views.db", isolation_level=None)

        def interfere(statement: str) -> None:
            if statement.startswith("SELECT dataset, slice"):
                rival.execute("DELETE FROM evaluations_v1_g1")

        assert isinstance(queries._reader, SQLiteReader)
        queries._reader._connection.set_trace_callback(interfere)
        found = await queries.holder("fraud", "production")
        rival.close()
        queries.close()
    assert found is not None
    assert json.loads(found[0])["evaluations"] == before["evaluations"]


async def test_of_many_versions_with_one_digest_the_newest_are_named(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for _ in range(25):
        history.register("fraud", 1)
    async with running(memory_feed(history.sets), places()) as projection:
        body = (await projection.client.get(f"/v1/models/fraud/versions/{digest('fraud-1')}")).json()
        newest = (await get(projection, "/v1/models/fraud"))["latest_version"]
    assert len(body["reasons"]) == 20
    assert f": {newest}, " in body["detail"]
    assert body["detail"].endswith("and more")


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


async def test_a_mistyped_type_is_answered_with_those_that_look_like_it(projection: Projection) -> None:
    body = (await projection.client.get("/v1/events?type=version.promotd")).json()
    assert "version.promoted" in body["hint"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/models/nobody", 404, "unknown_model"),
        ("/v1/models/nobody/versions/@production", 404, "unknown_model"),
        ("/v1/models/nobody/versions", 404, "unknown_model"),
        ("/v1/models/fraud/versions/99.0.0", 404, "unknown_version"),
        ("/v1/models/fraud/versions/@nothing", 404, "unknown_version"),
        ("/v1/models/fraud/versions/latest", 422, "bad_reference"),
        ("/v1/models/fraud/versions/@latest", 422, "bad_reference"),
        ("/v1/models/..%2F..%2Fetc", 404, None),
        ("/v1/models/a%00b", 422, "bad_name"),
        ("/v1/models/fraud/aliases/nothing", 404, "unknown_alias"),
        ("/v1/models?limit=0", 400, "bad_parameter"),
        ("/v1/models?limit=1001", 400, "bad_parameter"),
        ("/v1/models?limit=%C2%B2", 400, "bad_parameter"),
        ("/v1/models?nonsense=1", 400, "unknown_parameter"),
        ("/v1/models/fraud/versions/@production?nonsense=1", 400, "unknown_parameter"),
        ("/v1/models?page=%21%21", 400, "bad_page"),
        ("/v1/models?page=WyJ4Iiwx", 400, "bad_page"),
        ("/v1/events?order=sideways", 400, "bad_parameter"),
        ("/v1/events?version=1", 400, "bad_parameter"),
        ("/v1/events?type=version.promotd", 400, "unknown_type"),
        ("/v1/models/fraud/stages/shelf", 404, "unknown_stage"),
        ("/v1/models/churn/stages/archived", 200, None),
        ("/v1/lineage", 400, "missing_parameter"),
        ("/v1/lineage?node=nonsense", 400, "bad_node"),
        ("/v1/lineage?node=dataset:none", 404, "unknown_node"),
        ("/v1/compare?left=fraud&right=fraud/1", 400, "bad_parameter"),
        ("/v1/diff?from=20&to=10", 400, "bad_parameter"),
        ("/v1/models?min_position=1000000", 400, "beyond_log"),
        ("/v1/models?min_position=18446744073709551616", 400, "bad_parameter"),
    ],
)
async def test_refusals(projection: Projection, path: str, status: int, code: str | None) -> None:
    response = await projection.client.get(path)
    assert response.status_code == status, response.text
    assert code is None or response.json()["code"] == code


async def test_latest_is_refused_with_the_highest_number(projection: Projection) -> None:
    highest = (await get(projection, "/v1/models/fraud"))["latest_version"]
    response = await projection.client.get("/v1/models/fraud/versions/latest")
    assert highest in response.json()["hint"]


async def test_a_read_waits_for_the_position_it_names(growing: Projection) -> None:
    position = growing.feed.end + 1
    other = History()
    [row] = other.register_model("late")
    growing.feed.append(type(row)(position, row.stream, row.sequence, row.type, row.value))
    answer = await get(growing, "/v1/models/late", min_position=position)
    assert answer["model"] == "late"


async def test_a_position_that_does_not_come_is_503_with_a_time_to_try_again(places: Places, history: History) -> None:
    async with running(memory_feed(history.sets), places()) as projection:
        await projection.projector.close()
        position = projection.feed.end + 1
        projection.feed.append(type(history.rows[0])(position, "model/x", 1, "t", b""))
        response = await projection.client.get("/v1/models", params={"min_position": position})
    assert (response.status_code, response.json()["code"]) == (503, "not_visible_yet")


@pytest.mark.parametrize("path", ["/v1/models/fraud", "/v1/models/fraud/versions/2"])
async def test_an_etag_changes_with_every_event_that_touches_the_resource_and_no_other(
    path: str, places: Places
) -> None:
    history = History()
    for model in ("fraud", "churn"):
        history.register_model(model)
    for seed in range(2):
        history.register("fraud", seed)
    history.register("churn", 5)
    async with running(memory_feed(history.sets), places()) as projection:

        async def tag() -> str:
            return str((await projection.client.get(path)).headers["ETag"])

        async def after(command: c.Command) -> str:
            await projection.append([history.do(command)])
            return await tag()

        first = await tag()
        unchanged = await projection.client.get(path, headers={"If-None-Match": f'W/{first}, "other"'})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", first)
        assert await after(c.AssignAlias("churn", "a", "1")) == first
        second = await after(c.AssignAlias("fraud", "a", "2"))
        third = await after(c.AssignAlias("fraud", "a", "1"))
        assert len({first, second, third}) == 3
        assert (await projection.client.get(path, headers={"If-None-Match": first})).status_code == 200
        sequence = history.states["model/fraud"].sequence
        assert third == f'"{sequence}"'


async def test_the_hot_path_shows_every_change_at_once(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(3):
        history.register("fraud", seed)
    path = "/v1/models/fraud/versions/@production"
    async with running(memory_feed(history.sets), places()) as projection:
        assert (await projection.client.get(path)).status_code == 404
        for number in ("1.0.0", "1.1.0", "1.2.0"):
            for stage in ("staging", "production"):
                await projection.append([history.do(c.Promote("fraud", number, stage))])
            answer = await projection.client.get(path)
            assert answer.json()["version"] == number
            assert answer.headers["Regista-Position"] == str(projection.feed.end)
            again = await projection.client.get(path)
            assert (again.content, again.headers) == (answer.content, answer.headers)
            await projection.append([history.do(c.RecordEvaluation("fraud", number, {"auc": 0.5}))])
            assert (await get(projection, path))["evaluations"][-1]["metrics"] == {"auc": 0.5}


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_pages_hold_everything_once_and_in_order(projection: Projection, limit: int) -> None:
    versions = await everything(projection, "/v1/models/fraud/versions", limit)
    assert [v["ordinal"] for v in versions] == list(range(len(versions), 0, -1))
    ascending = await everything(projection, "/v1/models/fraud/versions", limit, order="asc")
    assert ascending == versions[::-1]
    found = await everything(projection, "/v1/versions", limit)
    assert len(found) == len({(v["model"], v["ordinal"]) for v in found})
    assert {m["model"] for m in await everything(projection, "/v1/models", limit)} == {"Fraud", "churn"}
    tenures = await everything(projection, "/v1/models/fraud/stages/archived", limit)
    assert [t["since_position"] for t in tenures] == sorted((t["since_position"] for t in tenures), reverse=True)


async def test_pages_stay_stable_while_others_write(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(30):
        history.register("fraud", seed)
    async with running(memory_feed(history.sets), places()) as projection:
        seen, following = [], None
        for round_ in range(100):
            page: dict[str, str] = {} if following is None else {"page": following}
            answer = await get(projection, "/v1/models/fraud/versions", limit=4, **page)
            seen += [v["ordinal"] for v in answer["items"]]
            history.register("fraud", 100 + round_)
            await projection.append(history.sets[-1:])
            if (following := answer["next"]) is None:
                break
    assert seen == list(range(30, 0, -1))


async def test_the_list_shows_every_model_as_it_is_shown_alone(places: Places) -> None:
    history = History()
    for model in ("empty", "small", "large"):
        history.register_model(model)
    for model, versions in (("small", 3), ("large", SHOWN_PER_STAGE + 1)):
        for seed in range(versions):
            history.register(model, seed)
        for version in ("1", "2"):
            history.do(c.Promote(model, version, "staging"))
            history.do(c.AssignAlias(model, f"a{version}", version))
    async with running(memory_feed(history.sets), places()) as projection:
        listed = (await get(projection, "/v1/models"))["items"]
        alone = [await get(projection, f"/v1/models/{model}") for model in ("empty", "large", "small")]
    assert listed == alone
    assert len(alone[1]["stages"]["candidate"]) == SHOWN_PER_STAGE - 1


async def test_a_page_token_belongs_to_its_query(projection: Projection) -> None:
    token = (await get(projection, "/v1/models/fraud/versions", limit=1))["next"]
    for path in ("/v1/models/churn/versions", "/v1/versions", "/v1/models/fraud/versions?order=asc"):
        response = await projection.client.get(
            path, params={"page": token, "limit": 1, "order": "asc"} if "order" in path else {"page": token}
        )
        assert (response.status_code, response.json()["code"]) == (400, "bad_page")


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


async def test_many_readers_at_once_while_the_log_grows_see_whole_snapshots(places: Places) -> None:
    history = History()
    history.register_model("fraud")

    async with running(memory_feed(history.sets), places()) as projection:

        async def look() -> None:
            for _ in range(20):
                model = await get(projection, "/v1/models/fraud")
                assert sum(len(v) for v in model["stages"].values()) == model["versions"]

        async def grow() -> None:
            for seed in range(40):
                history.register("fraud", seed)
                await projection.append(history.sets[-1:])

        await asyncio.gather(grow(), *(look() for _ in range(8)))
