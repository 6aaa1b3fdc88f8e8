"""Every error is a problem document; none tells more than it should."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.support.shell_app import api, client_of


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(api()) as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = response.json()
    assert (response.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["type"] == f"urn:regista:problem:{code}"
    assert document["title"]
    assert document["detail"]
    return document


async def test_a_refusal_names_every_reason(client: httpx.AsyncClient) -> None:
    document = problem(await client.get("/v1/raise/refused"), 409, "refused")

    assert document["hint"] == "do this"
    assert document["instance"] == "/v1/raise/refused"
    assert document["reasons"] == [
        {"code": "a", "detail": "first", "field": "x", "hint": None},
        {"code": "b", "detail": "second", "field": None, "hint": "way out"},
    ]


async def test_try_again_says_when_in_whole_seconds(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/raise/unavailable")

    problem(response, 503, "log_full")
    assert response.headers["retry-after"] == "3"


async def test_a_range_beyond_the_end_is_told_the_size(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/raise/range")

    problem(response, 416, "range_unsatisfiable")
    assert response.headers["content-range"] == "bytes */50000"


async def test_a_defect_tells_its_id_and_nothing_else(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = await client.get("/v1/raise/defect")

    identifier = str(problem(response, 500, "internal")["instance"]).removeprefix("urn:uuid:")
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text
    assert identifier in caplog.text
    assert "hunter2" in caplog.text


async def test_a_client_that_goes_away_is_no_defect(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    problem(await client.get("/v1/raise/disconnect"), 400, "request_interrupted")

    assert not caplog.records


async def test_damage_is_told_and_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    document = problem(await client.get("/v1/raise/damaged"), 500, "damaged")

    assert document["detail"] == "row 7 is not what was written"
    assert "row 7" in caplog.text


async def test_text_without_utf8_form_is_no_defect(client: httpx.AsyncClient) -> None:
    assert "ud800" in str(problem(await client.get("/v1/raise/surrogate"), 404, "not_found")["detail"])


async def test_an_unknown_route_and_a_wrong_method_are_problems(client: httpx.AsyncClient) -> None:
    problem(await client.get("/v1/modles"), 404, "unknown_route")

    response = await client.delete("/v1/whoami")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"


async def test_broken_json_is_malformed(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}

    problem(await client.post("/v1/models/m/versions", content=b'{"a":', headers=headers), 400, "malformed_json")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"custom":' * 20_000])
async def test_deeply_nested_json_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/v1/models/m/versions", content=body, headers={"content-type": "application/json"})

    assert response.status_code == 400


async def test_invalid_fields_are_named_all_at_once(client: httpx.AsyncClient) -> None:
    body = {"metrics": {"auc": "high"}, "trained_at": "2026-05-01T00:00:00", "colour": "red"}

    document = problem(await client.post("/v1/models/m/versions", json=body), 422, "invalid")

    reasons = document["reasons"]
    assert isinstance(reasons, list)
    assert {reason["field"] for reason in reasons} == {"metrics.auc", "trained_at", "colour"}


async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient) -> None:
    document = problem(await client.get("/v1/whoami?limit=many"), 422, "invalid")

    assert str(document["detail"]).startswith("limit: ")
