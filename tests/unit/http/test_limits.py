"""What is too large or of the wrong kind is refused before it is read, and never held."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.support.shell_app import api, client_of

VERSIONS = "/v1/models/m/versions"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(api(max_body="10KiB", max_upload="1MiB", max_head="16KiB")) as client:
        yield client


class Chunks(httpx.AsyncByteStream):
    """A body without a length, that knows how much of it was taken."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            self.left -= 1
            yield b" " * 1024


async def test_an_announced_body_is_refused_by_its_length(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-length": str(100 * 2**20)}

    response = await client.post(VERSIONS, content=b"{}", headers=headers)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert "REGISTA_MAX_BODY" in response.json()["hint"]


async def test_a_body_without_a_length_is_refused_when_it_passes_the_limit(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}

    response = await client.post(VERSIONS, content=Chunks(1000), headers=headers)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_a_body_at_the_limit_passes(client: httpx.AsyncClient) -> None:
    body = b'{"description":"' + b"x" * (10 * 1024 - 18) + b'"}'
    assert len(body) == 10 * 1024

    response = await client.post(VERSIONS, content=body, headers={"content-type": "application/json"})

    assert response.status_code == 201


async def test_an_upload_has_its_own_limit_and_any_type(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/octet-stream"}

    assert (await client.post("/v1/artifacts", content=b"x" * 2**20, headers=headers)).json() == {"size": 2**20}
    response = await client.post("/v1/artifacts", content=b"x" * (2**20 + 1), headers=headers)
    assert response.status_code == 413
    assert "REGISTA_MAX_UPLOAD" in response.json()["hint"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_read(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.post(VERSIONS, content=b"{}", headers=headers)

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media")


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_is_read(client: httpx.AsyncClient, media: str) -> None:
    assert (await client.post(VERSIONS, content=b"{}", headers={"content-type": media})).status_code == 201


async def test_a_long_target_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/whoami?x=" + "a" * 9_000)

    assert (response.status_code, response.json()["code"]) == (414, "target_too_long")


async def test_large_headers_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/whoami", headers={"x": "a" * 17_000})

    assert (response.status_code, response.json()["code"]) == (431, "headers_too_large")
