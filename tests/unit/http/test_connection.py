"""What only a real connection shows: refusals that arrive, heads that are bounded, bodies that are not held."""

from __future__ import annotations

import http.client
import resource
import socket
from collections.abc import Iterator

import pytest
from tests.support.serving import Served, serving
from tests.support.shell_app import api

from regista.settings import Settings

HEAD = b"POST /v1/models/m/versions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving(api(max_body="1MiB"), Settings(max_head=16_384)) as served:
        yield served


def connect(server: Served) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=10)


def read_to_the_end(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def test_a_body_of_100_mb_is_refused_and_the_refusal_arrives(server: Served) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b" " * 2**20
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (100 * 2**20))
        for _ in range(100):
            connection.sendall(block)
        answer = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20 * 1024, "KiB"


def test_a_chunked_body_is_refused_when_it_passes_the_limit(server: Served) -> None:
    block = b"10000\r\n" + b" " * 2**16 + b"\r\n"
    with connect(server) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            connection.sendall(block)
        connection.sendall(b"0\r\n\r\n")

        assert b"body_too_large" in read_to_the_end(connection)


def test_who_asks_before_sending_is_not_let_send(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (100 * 2**20))
        answer = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_refused_small_body_leaves_the_connection_open(server: Served) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/v1/models/m/versions", b'{"metrics": 1}', {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (415, None)
        answer.read()
    connection.close()


def test_an_endless_header_is_cut_off(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Endless: ")
        with pytest.raises(ConnectionError):
            connection.sendall(b"a" * 40 * 2**20)


def test_an_oversized_head_is_answered_431(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"a" * 20_000)

        answer = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"headers_too_large"' in answer


def test_many_requests_on_one_connection_are_no_oversized_head(server: Served) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    for _ in range(40):
        connection.request("GET", "/v1/whoami", headers={"X-Padding": "a" * 1000})
        assert connection.getresponse().read()
    connection.close()
