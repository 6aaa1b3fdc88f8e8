"""The OpenAPI document: complete, stable, and enough for a generator. The page made of it loads nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi.openapi.models import OpenAPI
from tests.support.server import app_client

_OPERATIONS = """
    registerModel listModels updateModel retireModel getModel reviveModel
    registerVersion listModelVersions updateVersion getVersion searchVersions recordEvaluation reportCheck
    promote rollBack archive getStage getProduction assignAlias removeAlias getAlias listAliases
    defineEnvironment rollBackEnvironment putTarget removeTarget
    createEndpoint updateEndpoint changeTraffic rollBackEndpoint followVersion reportDeployment reportDeployments concludeExperiment
    retireEndpoint
    reportInference getEndpointMetrics
    listDeliveries getDelivery redeliver replayEvents listReplays
    getCommand listEvents streamEvents getLineage compareVersions getDiff
    uploadArtifact verifyArtifact getArtifact headArtifact getArtifactFile headArtifactFile
    getStatus getHealth getReadiness getMetrics
    verifyLog rebuildViews skipPosition getDigests exportLog importLog
"""
OPERATIONS = frozenset(_OPERATIONS.split())
"""Names in other people's code: one may be added, none may go or change."""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(tmp_path) as client:
        yield client


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document, only for reading: one registry was asked for it."""

    async def asked() -> httpx.Response:
        async with app_client(tmp_path_factory.mktemp("openapi")) as client:
            return await client.get("/openapi.json")

    response = asyncio.run(asked())
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(value: object) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)


async def test_it_is_openapi_3_1_and_its_schemas_are_json_schema(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPI.model_validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


async def test_names_of_operations_are_stable_and_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))
    assert set(names) >= OPERATIONS
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", name) for name in names)


async def test_every_operation_says_what_it_is_and_what_may_go_wrong(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag.get("description")}
    for path, method, operation in operations(document):
        assert operation["summary"], path
        assert set(operation["tags"]) <= described
        needed = {"400", "401", "403", "422", "500", "503"} | ({"404"} if "{" in path else set())
        if method not in ("get", "head"):
            needed |= {"409", "410", "412", "413", "415"}
            assert "Regista-Actor" in {parameter["name"] for parameter in operation["parameters"]}
        assert needed <= set(operation["responses"]), path
        for code in needed:
            content = operation["responses"][code]["content"]
            assert content["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem"


async def test_parameters_in_paths_are_declared(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        declared = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))


async def test_every_resource_that_can_be_read_takes_head_but_the_streams(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    refused = set()
    for path, item in document["paths"].items():
        if "get" in item:
            answer = await client.head(re.sub(r"\{\w+\}", "x", path))
            assert answer.content == b""
            if answer.status_code == 405:
                refused.add((path, answer.headers["allow"]))

    assert refused == {("/v1/events/stream", "GET"), ("/v1/admin/export", "GET")}


async def test_a_wrong_method_is_told_every_right_one(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    for path in ("/v1/models/{model}", "/v1/models/{model}/aliases/{alias}", "/v1/artifacts/{digest}"):
        answer = await client.request(
            "TRACE", re.sub(r"\{\w+\}", "x", path), headers={"content-type": "application/json"}
        )
        declared = {method.upper() for method in document["paths"][path]} | {"HEAD"}
        assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, declared)


async def test_models_have_short_names(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
        assert schema["title"] == name


async def test_only_probes_need_no_token(document: dict[str, Any]) -> None:
    free = {path for path, _, operation in operations(document) if operation.get("security") == []}

    assert free == {"/healthz", "/readyz"}
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


async def test_the_reference_page_loads_nothing_and_shows_everything(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|src=|https?://", page.text)
    assert set(re.findall(r'<details id="(\w+)"', page.text)) >= OPERATIONS
