"""Addresses that somebody registered reach the public network alone, unless private ones are allowed."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from regista.domain.errors import Forbidden, Unavailable
from regista.outbound.addresses import address_problem, is_public
from regista.outbound.client import Answer, Outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@asynccontextmanager
async def answering(answer: bytes, *, then_drip: bool = False) -> AsyncIterator[tuple[int, list[str]]]:
    heads: list[str] = []

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(answer)
            while then_drip and not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heads


def resolving(monkeypatch: pytest.MonkeyPatch, answers: Callable[[], list[str]]) -> None:
    """Names resolve to this from now on."""

    def getaddrinfo(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def get(client: Outbound, url: str) -> Answer:
    return await client.send("GET", url, headers={}, within=20)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
     "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::a00:1", "2002:7f00:1::", "fec0::1", "rubbish"],
)  # fmt: skip
def test_what_is_not_on_the_public_network_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_what_is_on_the_public_network_is_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com", "https://", "//example.com", "https://user:pass@example.com", "http://127.0.0.1/x",
     "http://[::1]:80/", "file:///etc/passwd", "http://exa mple", "http://169.254.169.254/latest"],
)  # fmt: skip
def test_an_address_that_can_never_be_called_is_named_when_it_is_registered(url: str) -> None:
    assert address_problem(url, allow_private=False)


def test_a_private_address_may_be_allowed() -> None:
    assert address_problem("http://127.0.0.1/x", allow_private=True) is None
    assert address_problem("https://example.com/x", allow_private=False) is None


async def test_a_private_address_is_not_called() -> None:
    async with answering(OK) as (port, heads), Outbound(allow_private=False) as client:
        for host in ("127.0.0.1", "localhost", "0x7f.1"):
            with pytest.raises(Forbidden) as refused:
                await get(client, f"http://{host}:{port}/")
            assert refused.value.code == "private_address"
    assert heads == []


async def test_one_private_address_among_many_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, lambda: ["1.1.1.1", "10.0.0.1"])
    async with Outbound(allow_private=False) as client:
        with pytest.raises(Forbidden, match=r"mixed\.example \(10\.0\.0\.1\)"):
            await get(client, "http://mixed.example/")


async def test_the_connection_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to something else the second time gains nothing: it is resolved once."""
    asked = []

    def answers() -> list[str]:
        asked.append(1)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    async with answering(OK) as (port, heads), Outbound(allow_private=True) as client:
        resolving(monkeypatch, answers)
        assert (await get(client, f"http://rebinding.example:{port}/path")).body == b"hello"
    assert len(asked) == 1
    assert f"Host: rebinding.example:{port}" in heads[0]


@pytest.mark.parametrize(
    ("registered", "sent"),
    [
        ("/a%2Fb?signature=x%2B%2Fy%3D&to=a+b", "/a%2Fb?signature=x%2B%2Fy%3D&to=a+b"),
        ("/ä b", "/%C3%A4%20b"),
        ("", "/"),
    ],
)
async def test_what_is_escaped_in_an_address_stays_so(registered: str, sent: str) -> None:
    """It may be signed: what means the same is another address to whoever checks the signature."""
    async with answering(OK) as (port, heads), Outbound(allow_private=True) as client:
        await get(client, f"http://127.0.0.1:{port}{registered}")
    assert heads[0].split("\r\n")[0] == f"GET {sent} HTTP/1.1"


async def test_no_cookie_comes_back_to_who_set_it() -> None:
    setting = b"HTTP/1.1 200 OK\r\nSet-Cookie: who=you\r\nContent-Length: 0\r\n\r\n"
    async with answering(setting) as (port, heads), Outbound(allow_private=True) as client:
        for _ in range(2):
            await get(client, f"http://localhost:{port}/")
    assert len(heads) == 2
    assert "ookie" not in heads[1]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", b"rubbish\r\n\r\n"])
async def test_what_is_no_whole_answer_is_none_and_tells_no_address(answer: bytes) -> None:
    async with answering(answer) as (port, _), Outbound(allow_private=True) as client:
        with pytest.raises(Unavailable) as refused:
            await get(client, f"http://127.0.0.1:{port}/a-secret-path")
    assert refused.value.code == "no_answer"
    assert "secret" not in refused.value.detail


async def test_a_port_where_nobody_listens_is_named() -> None:
    async with answering(OK) as (port, _):
        pass
    async with Outbound(allow_private=True) as client:
        with pytest.raises(Unavailable, match=rf"no connection to 127\.0\.0\.1:{port}: "):
            await get(client, f"http://127.0.0.1:{port}/a-secret-path")


async def test_a_redirect_is_not_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with answering(redirect) as (port, heads), Outbound(allow_private=True) as client:
        assert (await get(client, f"http://127.0.0.1:{port}/")).status == 302
    assert len(heads) == 1


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with answering(OK) as (port, _), Outbound(allow_private=True) as client:
        assert (await get(client, f"http://127.0.0.1:{port}/")).body == b"hello"


async def test_the_second_address_is_tried_where_the_first_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(OK) as (port, _), Outbound(allow_private=True) as client:
        resolving(monkeypatch, lambda: ["127.0.0.2", "127.0.0.1"])
        assert (await get(client, f"http://two.example:{port}/")).body == b"hello"


async def test_an_answer_that_drips_ends_in_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    async with answering(head, then_drip=True) as (port, _), Outbound(allow_private=True) as client:
        with pytest.raises(TimeoutError):
            await client.send("GET", f"http://127.0.0.1:{port}/", headers={}, within=0.2)


async def test_of_an_endless_answer_the_beginning_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    async with answering(head + b"y" * 100_000, then_drip=True) as (port, _), Outbound(allow_private=True) as c:
        answer = await c.send("GET", f"http://127.0.0.1:{port}/", headers={}, within=5, limit=1000)
    assert (answer.status, answer.body, answer.whole) == (200, b"y" * 1000, False)


async def test_names_that_nobody_answers_for_hold_no_thread_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[Any]:
        silent.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with Outbound(allow_private=True) as client:
        asking = [asyncio.create_task(get(client, f"http://host{number}.example")) for number in range(30)]
        await asyncio.wait(asking, timeout=0.2)
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: "free") == "free"
        silent.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in found)
