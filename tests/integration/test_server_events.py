"""The event stream of a real server: no gap and no repetition under writes, reconnections, slow readers and shutdown."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.support.payloads import version_body
from tests.support.server import RunningServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry"), stream_heartbeat=0.2) as running:
        yield running


def messages(response: httpx.Response) -> Iterator[dict[str, str]]:
    """The messages of a stream."""
    message: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name:
            message[name] = value
        elif line == "" and "data" in message:
            yield message
            message = {}


def read_to_the_end(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(65_536):
            received += part
    return received


def take(server: RunningServer, count: int, **headers: str) -> list[dict[str, str]]:
    """The next messages, and then the connection is dropped."""
    found: list[dict[str, str]] = []
    with (
        server.client() as client,
        client.stream(
            "GET", "/v1/events/stream", headers={k.replace("_", "-"): v for k, v in headers.items()}
        ) as stream,
    ):
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        for message in messages(stream):
            found.append(message)
            if len(found) == count:
                break
    return found


def test_a_message_is_the_event_as_the_api_shows_it(server: RunningServer) -> None:
    with server.client(actor="ann") as client:
        position = client.post("/v1/models", json={"name": "message", "description": "Line one\nline two"}).json()[
            "position"
        ]
        [event] = client.get("/v1/events", params={"after": position - 1, "min_position": position}).json()["items"][:1]

    [message] = take(server, 1, Last_Event_ID=str(position - 1))

    assert message["id"] == str(position)
    assert message["event"] == "regista.model.registered.v1"
    assert json.loads(message["data"]) == event
    assert event["actor"] == "ann"


def test_readers_that_reconnect_miss_and_repeat_nothing_while_others_write(server: RunningServer) -> None:
    with server.client() as client:
        client.post("/v1/models", json={"name": "raced"})
        start = client.get("/v1/status").json()["log_position"]
    writers, each = 4, 100
    collected: dict[int, list[int]] = {}

    def write(writer: int) -> None:
        with server.client(actor=f"writer-{writer}") as client:
            for number in range(each):
                body = version_body(seed=writer * each + number)
                assert client.post("/v1/models/raced/versions", json=body).status_code == 201

    def follow(step: int) -> None:
        positions: list[int] = []
        while len(positions) < writers * each:
            last = str(positions[-1] if positions else start)
            count = min(step, writers * each - len(positions))
            positions += [int(message["id"]) for message in take(server, count, Last_Event_ID=last)]
        collected[step] = positions

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    threads += [threading.Thread(target=follow, args=(step,)) for step in (1_000, 37, 101)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    expected = list(range(start + 1, start + writers * each + 1))
    assert collected == {1_000: expected, 37: expected, 101: expected}


def test_filters_are_those_of_the_events(server: RunningServer) -> None:
    with server.client(actor="filterer") as client:
        for name in ("filtered", "unfiltered"):
            client.post("/v1/models", json={"name": name})
            newest = client.post(f"/v1/models/{name}/versions", json=version_body()).json()["position"]
        for params in (
            {"model": "Filtered"},
            {"actor": "filterer"},
            {"type": "model.registered", "actor": "filterer"},
            {"stream": "model/unfiltered", "type": "regista.version.registered.v1"},
        ):
            items = client.get("/v1/events", params={**params, "min_position": newest}).json()["items"]
            assert items
            with client.stream("GET", "/v1/events/stream", params=params) as stream:
                found = [json.loads(message["data"]) for _, message in zip(items, messages(stream), strict=False)]
            assert found == items


@pytest.mark.parametrize(
    ("headers", "params", "status"),
    [
        ({"Last-Event-ID": "newest"}, {}, 400),
        ({"Last-Event-ID": "-1"}, {}, 400),
        ({"Last-Event-ID": "9" * 30}, {}, 400),
        ({}, {"after": "1000000"}, 400),
        ({}, {"after": "-1"}, 422),
        ({}, {"model": "a", "stream": "model/b"}, 400),
    ],
)
def test_a_place_that_does_not_exist_is_refused(
    server: RunningServer, headers: dict[str, str], params: dict[str, str], status: int
) -> None:
    with server.client() as client:
        assert client.get("/v1/events/stream", headers=headers, params=params).status_code == status


def test_silence_is_broken(server: RunningServer) -> None:
    with server.client() as client:
        end = client.get("/v1/status").json()["log_position"]
        with client.stream("GET", "/v1/events/stream", params={"after": end}) as stream:
            lines = stream.iter_lines()
            assert [next(lines) for _ in range(6)][::2] == [": regista", ": nothing new", ": nothing new"]


def test_one_reader_too_many_is_told_to_come_later(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, max_streams=1) as server,
        server.client() as client,
        client.stream("GET", "/v1/events/stream") as stream,
    ):
        following = messages(stream)
        next(following)
        refused = client.get("/v1/events/stream")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
        assert "retry-after" in refused.headers
        assert "regista_stream_readers 1.0" in client.get("/metrics").text


def test_a_reader_that_does_not_read_is_cut_off_and_holds_no_memory(tmp_path: Path) -> None:
    with running_server(tmp_path, stream_patience=0.5) as server, server.client() as client:
        client.post("/v1/models", json={"name": "large"})
        for number in range(60):
            body = {**version_body(seed=number), "custom": {"padding": "x" * 200_000}}
            assert client.post("/v1/models/large/versions", json=body).status_code == 201
        reader = socket.socket()
        reader.settimeout(30)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((httpx.URL(server.url).host, httpx.URL(server.url).port))
        reader.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert reader.recv(1)

        waiter = threading.Event()
        while "regista_stream_readers 0.0" not in client.get("/metrics").text:
            waiter.wait(0.05)  # the metrics are read now and then, as Prometheus does

        with reader:
            received = read_to_the_end(reader)
        assert len(received) < 10_000_000, "what was under way, not the whole past"
        assert not received.endswith(b"0\r\n\r\n"), "an end that cannot be taken for the end of the stream"


def test_shutdown_ends_the_streams_cleanly_and_at_once(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        with server.client() as client, client.stream("GET", "/v1/events/stream") as stream:
            found = messages(stream)
            assert next(found)["id"] == "1"
            server.process.terminate()
            assert list(found) == [], "a complete chunked body, no broken connection"
        assert server.wait(10) == 0
        assert server.errors == ""
