"""The short way gives what FastAPI's way gives, and leaves to it what it does not know."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Scope
from tests.support.shell_app import client_of

from regista.http.application import Api, Shell, create_app
from regista.http.metrics import Metrics
from regista.registrar.direct import Documented, add_route
from regista.settings import Settings


def app() -> Api:
    router = APIRouter()

    async def echo(request: Request) -> Response:
        return JSONResponse({"path": request.path_params, "query": dict(request.query_params)})

    for method, path in [
        ("GET", "/v1/things/{thing}"),
        ("GET", "/v1/things/{thing}/parts"),
        ("GET", "/v1/things/{thing}/parts/{part}"),
        ("DELETE", "/v1/things/{thing}"),
    ]:
        add_route(router, method, path, Documented("echo", "Echo", "tests", dict), echo)

    @router.get("/v1/things/{thing}/parts/{part}/slow")
    async def slow(thing: str, part: str) -> dict[str, str]:
        return {"slow": f"{thing}/{part}"}

    @router.get("/v1/endless", response_class=StreamingResponse)
    async def endless() -> Response:
        raise AssertionError("nobody asked for it")

    @router.get("/v1/bytes", response_class=StreamingResponse)
    async def get_bytes() -> Response:
        return StreamingResponse(iter([b"abc"]), headers={"Content-Length": "3"})

    @router.head("/v1/bytes")
    async def head_bytes() -> Response:
        return Response(headers={"Content-Length": "3", "X-Own": "yes"})

    return create_app(Shell(Settings.model_validate({"data": "/nowhere"}), Metrics(), "1"), [router])


@pytest.mark.parametrize(
    ("method", "path", "parameters"),
    [
        ("GET", "/v1/things/a", {"thing": "a"}),
        ("DELETE", "/v1/things/parts", {"thing": "parts"}),
        ("GET", "/v1/things/a/parts", {"thing": "a"}),
        ("GET", "/v1/things/a/parts/%40production", {"thing": "a", "part": "@production"}),
        ("GET", "/v1/things/v1/parts/things", {"thing": "v1", "part": "things"}),
    ],
)
async def test_a_known_path_leads_to_its_handler(method: str, path: str, parameters: dict[str, str]) -> None:
    async with client_of(app()) as client:
        response = await client.request(method, path, params={"x": "1"})

    assert response.json() == {"path": parameters, "query": {"x": "1"}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v1/things/a", 405),
        ("GET", "/v1/things", 404),
        ("GET", "/v1/things/", 404),
        ("GET", "/v1/things//parts", 404),
        ("GET", "/v1/things/a/parts/b/c", 404),
        ("GET", "/v1/things/a%2Fb/parts/c/d", 404),
    ],
)
async def test_anything_else_is_answered_as_ever(method: str, path: str, status: int) -> None:
    async with client_of(app()) as client:
        assert (await client.request(method, path)).status_code == status


async def test_routes_of_fastapi_go_on_working() -> None:
    async with client_of(app()) as client:
        assert (await client.get("/v1/things/a/parts/b/slow")).json() == {"slow": "a/b"}


async def test_the_short_way_counts_by_its_pattern_and_checks_who_asks() -> None:
    running = app()
    async with client_of(running) as client:
        await client.get("/v1/things/a")
        await client.get("/v1/things/b")
        assert (await client.get("/v1/things/a", headers={"Host": "evil.example"})).status_code == 403

    text = running.shell.metrics.text().decode()
    assert 'route="/v1/things/{thing}",status="200"} 2.0' in text


async def test_a_large_target_does_not_reach_a_handler() -> None:
    async with client_of(app()) as client:
        response: httpx.Response = await client.get("/v1/things/" + "a" * 9_000)

    assert response.status_code == 414


@pytest.mark.parametrize("path", ["/v1/things/a?x=1", "/v1/things/a/parts/b", "/v1/things/a/parts/b/slow"])
async def test_head_gives_the_headers_of_get_and_no_body(path: str) -> None:
    running = app()
    async with client_of(running) as client:
        got = await client.get(path)
        messages = await sent_for(running, "HEAD", path)

    started, *rest = messages
    assert started["status"] == got.status_code == 200
    headers = {name.decode(): value.decode() for name, value in started["headers"]}
    assert headers["content-length"] == str(len(got.content))
    assert headers["content-type"] == got.headers["content-type"]
    assert b"".join(message.get("body", b"") for message in rest) == b""
    pattern = 'method="HEAD",route="unmatched"'
    assert pattern not in running.shell.metrics.text().decode()


async def test_head_of_what_answers_it_by_itself_is_left_to_it() -> None:
    async with client_of(app()) as client:
        assert (await client.head("/v1/bytes")).headers["x-own"] == "yes"


async def test_head_does_not_begin_a_stream() -> None:
    async with client_of(app()) as client:
        response = await client.head("/v1/endless")

    assert (response.status_code, response.headers["allow"]) == (405, "GET")


async def test_an_unknown_path_has_no_head_either() -> None:
    async with client_of(app()) as client:
        assert (await client.head("/v1/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/things/a", "DELETE, GET, HEAD"),
        ("/v1/things/a/parts", "GET, HEAD"),
        ("/v1/things/a/parts/b/slow", "GET, HEAD"),
        ("/v1/bytes", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_all_that_the_path_takes(path: str, allowed: str) -> None:
    async with client_of(app()) as client:
        response = await client.put(path, json={})

    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert allowed in response.json()["detail"]


async def sent_for(running: Api, method: str, target: str) -> list[Message]:
    """What the application itself sends: clients drop the body of an answer to HEAD."""
    path, _, query = target.partition("?")
    scope: Scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1")], "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80),
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await running(scope, receive, send)
    return sent
