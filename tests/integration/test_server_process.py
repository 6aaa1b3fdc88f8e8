"""The server as a process: it starts fast and small, says why it cannot, ends with nothing lost."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import httpx
import pytest
from tests.support.payloads import version_body
from tests.support.server import RunningServer, running_server, start_and_fail

SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry")) as running:
        yield running


def test_it_is_ready_within_seconds_and_small(tmp_path: Path) -> None:
    started = perf_counter()
    with running_server(tmp_path) as server:
        assert perf_counter() - started < 10, "seconds, on a busy machine; the goal of 1.5 is measured by the benchmark"
        status = Path(f"/proc/{server.process.pid}/status").read_text()

    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 150 * 1024, "KiB"


def test_a_termination_ends_it_with_success_and_without_noise(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        with server.client() as client:
            assert client.post("/v1/models", json={"name": "fraud"}).status_code == 201

        assert server.terminate() == 0
        assert server.errors == ""


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        with server.client() as client:
            first = client.post("/v1/models", json={"name": "fraud"}, headers={"Idempotency-Key": "1"}).json()
        server.terminate()
        server.restart()
        with server.client() as client:
            again = client.post("/v1/models", json={"name": "fraud"}, headers={"Idempotency-Key": "1"}).json()

    assert again == {**first, "replayed": True}


def test_shutdown_answers_every_request_in_work(tmp_path: Path) -> None:
    answered: list[int] = []
    under_way = threading.Barrier(9)

    def write(running: RunningServer, worker: int) -> None:
        with running.client(actor=f"worker-{worker}") as client:
            client.post("/v1/models", json={"name": f"model-{worker}"})
            under_way.wait()
            for number in range(10_000):
                try:
                    response = client.post(f"/v1/models/model-{worker}/versions", json=version_body(seed=number))
                except httpx.TransportError:
                    return  # the connection was idle when it was closed: this request was never read
                if response.status_code == 503:
                    return
                assert response.status_code == 201, response.text
                answered.append(response.json()["position"])

    with running_server(tmp_path) as running:
        workers = [threading.Thread(target=write, args=(running, worker)) for worker in range(8)]
        for worker in workers:
            worker.start()
        under_way.wait()
        while len(answered) < 50:
            assert any(worker.is_alive() for worker in workers)
        assert running.terminate() == 0
        for worker in workers:
            worker.join()

    with sqlite3.connect(tmp_path / "log.db") as log:
        positions = {position for (position,) in log.execute("SELECT position FROM events")}
    log.close()
    assert set(answered) <= positions
    assert len(positions) == 1 + 8 + len(answered), "nothing was written that was not answered"


def test_a_taken_port_is_one_line_and_an_exit_code(server: RunningServer, tmp_path: Path) -> None:
    failed = start_and_fail(tmp_path, port=server.url.rpartition(":")[2])

    assert failed.returncode == 1
    assert "is taken" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "log.db").exists()


def test_a_data_directory_in_use_is_one_line_that_names_the_process(server: RunningServer) -> None:
    failed = start_and_fail(server.data)

    assert failed.returncode == 1
    assert f"process {server.process.pid}" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("damage", ["newer", "foreign", "garbage", "file", "views"])
def test_a_directory_that_it_cannot_read_is_one_line(tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if damage == "garbage":
        (data / "log.db").write_bytes(b"no database" * 1000)
    elif damage == "views":
        (data / "views.db").mkdir()
    elif damage == "file":
        data = tmp_path / "data" / "a-file"
        data.write_text("not a directory")
    else:
        if damage == "newer":
            with running_server(data):
                pass
        log = sqlite3.connect(data / "log.db")
        log.execute("PRAGMA user_version = 99" if damage == "newer" else "CREATE TABLE other (x)")
        log.commit()
        log.close()

    failed = start_and_fail(data)

    assert failed.returncode == 1
    assert failed.stderr.startswith("regista: ")
    assert "Traceback" not in failed.stderr


def test_an_open_address_needs_a_token(tmp_path: Path) -> None:
    with running_server(tmp_path, host="0.0.0.0", token=SECRET) as server:  # noqa: S104 - what is tested
        assert httpx.get(f"{server.url}/v1/status").status_code == 401
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        answer = httpx.get(f"{server.url}/v1/status", headers={"Authorization": f"Bearer {SECRET}"})
        assert answer.status_code == 200
        assert SECRET not in server.errors


def test_the_token_is_in_no_file(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Regista-Actor": "ci"}
    with running_server(tmp_path, token=SECRET) as server:
        created = httpx.post(f"{server.url}/v1/models", json={"name": "fraud"}, headers=headers)
        assert created.status_code == 201

    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
