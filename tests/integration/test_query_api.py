"""The query API over HTTP, whatever is asked for: documented shapes, freshness, ETags and refusals."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.support.deployment_histories import DeploymentHistory, roam
from tests.support.histories import History
from tests.support.projecting import Places, Projection, memory_feed, running
from tests.support.querying import get

from regista.domain import commands as c
from regista.projections.api.routes import ROUTES

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
SERVING = {
    "list_environments": "/v1/environments",
    "get_environment": "/v1/environments/PROD",
    "list_targets": "/v1/targets",
    "get_target": "/v1/targets/edge",
    "list_endpoints": "/v1/endpoints",
    "get_endpoint": "/v1/endpoints/prod/fraud",
    "list_endpoint_changes": "/v1/endpoints/prod/fraud/changes",
    "list_deployments": "/v1/endpoints/prod/fraud/deployments",
    "list_subscriptions": "/v1/subscriptions",
    "get_subscription": "/v1/subscriptions/s1",
}
"""Of a log in which endpoints serve."""


async def check_shape(route: Any, path: str, projection: Projection) -> None:
    response = await projection.client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["Regista-Position"] == str(projection.feed.end)
    known = TypeAdapter(route.model).dump_python(TypeAdapter(route.model).validate_json(response.content), mode="json")
    assert set(known) == set(response.json())
    if "items" in known:
        assert set(known["items"][0]) == set(response.json()["items"][0])


@pytest.mark.parametrize("route", [one for one in ROUTES if one.name not in SERVING], ids=lambda route: route.name)
async def test_every_answer_is_of_its_documented_shape_and_says_its_position(
    route: Any, projection: Projection
) -> None:
    path = PATHS[route.name]
    if "{alias}" in path:
        [one, *_] = [m for m in (await get(projection, "/v1/models"))["items"] if m["aliases"]]
        path = path.format(model=one["model"], alias=next(iter(one["aliases"])))
    await check_shape(route, path, projection)


async def test_every_answer_about_what_serves_is_of_its_documented_shape(places: Places) -> None:
    history = DeploymentHistory()
    roam(history, random.Random(5), 120)
    async with running(memory_feed(history.sets), places()) as projection:
        for route in ROUTES:
            if route.name in SERVING:
                await check_shape(route, SERVING[route.name], projection)


async def test_the_document_describes_every_route_and_parameter(projection: Projection) -> None:
    document = await get(projection, "/openapi.json")
    for route in ROUTES:
        operation = document["paths"][route.path]["get"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert {parameter.name for parameter in route.parameters} | {"min_position"} <= names
        assert "200" in operation["responses"]


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
