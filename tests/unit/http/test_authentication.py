"""Who may ask: everybody on this machine but a foreign page, or whoever has the token."""

from __future__ import annotations

import pytest
from tests.support.shell_app import SECRET, api, client_of


async def test_without_a_name_the_actor_is_anonymous() -> None:
    async with client_of(api()) as client:
        who = (await client.get("/v1/whoami")).json()

    assert (who["actor"], who["identity"]) == ("anonymous", "asserted")


@pytest.mark.parametrize(
    ("given", "actor"),
    [
        (b"ci@team-risk", "ci@team-risk"),
        ("Zoë".encode(), "Zoë"),
        (b"Zo%C3%AB", "Zoë"),
        (b"x" * 256, "x" * 256),
    ],
)
async def test_the_actor_is_who_the_header_says(given: bytes, actor: str) -> None:
    async with client_of(api()) as client:
        assert (await client.get("/v1/whoami", headers={b"Regista-Actor": given})).json()["actor"] == actor


@pytest.mark.parametrize("given", [b"", b" ", b"x" * 257, b"a%0Ab", b"a\x7fb", b"\xff\xfe", "a\u202eb".encode()])
async def test_an_actor_is_printable_text_of_at_most_256_characters(given: bytes) -> None:
    async with client_of(api()) as client:
        response = await client.get("/v1/whoami", headers={b"Regista-Actor": given})

    assert (response.status_code, response.json()["code"]) == (400, "malformed_actor")


@pytest.mark.parametrize("given", [b"system", b"System", b" system ", b"%73ystem", "\uff53ystem".encode()])
async def test_nobody_is_called_like_the_registry_itself(given: bytes) -> None:
    async with client_of(api()) as client:
        problem = (await client.get("/v1/whoami", headers={b"Regista-Actor": given})).json()

    assert (problem["status"], problem["code"]) == (400, "reserved_actor")
    assert "REGISTA_ACTOR" in problem["hint"]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:80", "127.9.9.9", "regista.localhost:1"])
async def test_loopback_names_are_let_in(host: str) -> None:
    async with client_of(api()) as client:
        assert (await client.get("/v1/whoami", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8080", "", "[::1", "127.0.0.1.x"])
async def test_a_rebound_name_is_refused(host: str) -> None:
    async with client_of(api()) as client:
        response = await client.get("/v1/whoami", headers={"Host": host})

    assert (response.status_code, response.json()["code"]) == (403, "host_refused")


async def test_a_trusted_host_is_let_in() -> None:
    async with client_of(api(trusted_hosts="models.example, other.example")) as client:
        assert (await client.get("/v1/whoami", headers={"Host": "Models.Example:443"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
    ],
)
async def test_a_foreign_page_may_not_write(headers: dict[str, str]) -> None:
    async with client_of(api()) as client:
        response = await client.post("/v1/models/m/versions", json={}, headers=headers)

        assert (response.status_code, response.json()["code"]) == (403, "cross_site")
        assert (await client.get("/v1/whoami", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://127.0.0.1:8080"}]
)
async def test_programs_and_own_pages_may_write(headers: dict[str, str]) -> None:
    async with client_of(api()) as client:
        assert (await client.post("/v1/models/m/versions", json={}, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer x", f"Basic {SECRET}", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", "Bearer é"],
)
async def test_with_a_token_every_request_needs_it(given: str | None) -> None:
    headers = {} if given is None else {b"Authorization": given.encode()}
    async with client_of(api(host="0.0.0.0", token=SECRET)) as client:  # noqa: S104 - nothing listens here
        for path in ("/v1/whoami", "/openapi.json", "/docs", "/v1/nothing"):
            response = await client.get(path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_with_the_token_any_host_is_let_in() -> None:
    headers = {"Authorization": f"bearer {SECRET}", "Host": "models.example", "Regista-Actor": "ci"}
    async with client_of(api(host="0.0.0.0", token=SECRET)) as client:  # noqa: S104 - nothing listens here
        assert (await client.get("/v1/whoami", headers=headers)).json()["actor"] == "ci"


async def test_a_token_counts_on_loopback_too() -> None:
    async with client_of(api(token=SECRET)) as client:
        assert (await client.get("/v1/whoami")).status_code == 401


async def test_probes_need_no_token() -> None:
    async with client_of(api(token=SECRET)) as client:
        assert (await client.get("/healthz", headers={"Host": "10.1.2.3"})).status_code == 200
