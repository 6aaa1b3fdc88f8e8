"""Reads and writes over HTTP, the client on the same machine, each beside its floor in the same run."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from tests.bench import load, processes
from tests.bench.report import Row

CLIENTS = 32
REGISTRATIONS = 12_000
RICH = 6_000
MOVES = 8_000
READS = 40_000
VISIBLE = 400


def registration(model: str, number: int) -> bytes:
    """A registration with what is required, about 0.5 KB."""
    return json.dumps(_required(model, number)).encode()


def rich_registration(model: str, number: int) -> bytes:
    """A registration with all that a training run usually knows, about 1.2 KB."""
    more = {
        "features": [{"name": "customer-profile", "version": "12"}],
        "params": {"max_depth": 8, "n_estimators": 400, "learning_rate": 0.05, "criterion": "gini"},
        "signature": {
            "inputs": [{"name": "features", "type": "float64", "shape": [None, 30]}],
            "outputs": [{"name": "score", "type": "float64", "shape": [None]}],
        },
        "runtime": {"seed": 7, "python": "3.11.7", "packages": {"scikit-learn": "1.7.2", "numpy": "2.3.4"}},
        "tags": {"team": "risk"},
    }
    return json.dumps(_required(model, number) | more).encode()


def _required(model: str, number: int) -> dict[str, object]:
    return {
        "artifact": {
            "uri": f"s3://models/{model}/{number}/model.joblib",
            "size": 1_234_567,
            "digest": f"sha256:{number:064x}",
            "format": "joblib",
        },
        "code": {"repository": "https://git.example/risk/fraud", "commit": f"{number:040x}"},
        "datasets": [{"name": "transactions", "version": "2026-05"}],
        "metrics": {"auc": 0.93, "accuracy": 0.88},
        "author": "ann",
        "trained_at": "2026-05-04T12:00:00Z",
    }


def run() -> list[Row]:
    """All rows of this file."""
    return asyncio.run(_run())


async def _run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        with processes.floor(Path(folder) / "floor") as server:
            floor_write = await load.drive(server.port, CLIENTS, _appends)
            floor_read = await load.drive(server.port, CLIENTS, _counted(READS, load.request("GET", "/current")))
        with processes.registry(Path(folder) / "registry") as server:
            started, idle = server.started_in, server.memory
            port = server.port
            await prepare(port)
            register = await load.drive(port, CLIENTS, _registrations)
            rich = await load.drive(port, CLIENTS, _rich_registrations)
            moves = await load.drive(port, CLIENTS, _moves)
            read = await load.drive(
                port, CLIENTS, _counted(READS, load.request("GET", "/v1/models/bench-0/versions/@production"))
            )
            visible = await visibility(port, REGISTRATIONS + RICH)
    expect(register, 201)
    expect(rich, 201)
    expect(moves, 200)
    expect(read, 200)
    return [
        Row("start of `regista up` to ready", started, "s", "< 1.5"),
        Row("idle memory", idle, "MiB", "< 150"),
        Row("floor: bare Starlette + group commit, 32 clients", floor_write.rate, "/s", ""),
        Row("registrations over HTTP, 32 clients", register.rate, "/s", ">= 3000"),
        Row("… p99", register.percentile(0.99), "ms", "< 25"),
        Row("… of the floor", register.rate / floor_write.rate, "", ">= 0.6"),
        Row("registrations with rich metadata, 32 clients", rich.rate, "/s", ""),
        Row("… p99", rich.percentile(0.99), "ms", ""),
        Row("promote and rollback, 32 clients", moves.rate, "/s", ">= 3000"),
        Row("… p99", moves.percentile(0.99), "ms", ""),
        Row("floor: bare Starlette + SQLite row, 32 clients", floor_read.rate, "/s", ""),
        Row("current production version, 32 clients", read.rate, "/s", ">= 10000"),
        Row("… p99", read.percentile(0.99), "ms", ""),
        Row("… of the floor", read.rate / floor_read.rate, "", ">= 0.6"),
        Row("write answered to visible in the query API, p50", percentile(visible, 0.5), "ms", ""),
        Row("… p99", percentile(visible, 0.99), "ms", "< 50"),
    ]


def _appends(client: int, number: int) -> bytes | None:
    if number >= REGISTRATIONS // CLIENTS:
        return None
    return load.request("POST", "/append", registration(f"bench-{client}", number))


def _registrations(client: int, number: int) -> bytes | None:
    if number >= REGISTRATIONS // CLIENTS:
        return None
    return load.request("POST", f"/v1/models/bench-{client}/versions", registration(f"bench-{client}", number))


def _rich_registrations(client: int, number: int) -> bytes | None:
    if number >= RICH // CLIENTS:
        return None
    body = rich_registration(f"bench-{client}", REGISTRATIONS + number)
    return load.request("POST", f"/v1/models/bench-{client}/versions", body)


def _moves(client: int, number: int) -> bytes | None:
    """Promote two versions to production, then roll back and forth between them."""
    base = f"/v1/models/bench-{client}"
    first = [("1.0.0", "staging"), ("1.0.0", "production"), ("1.1.0", "staging"), ("1.1.0", "production")]
    if number >= MOVES // CLIENTS:
        return None
    if number < len(first):
        ref, stage = first[number]
        body = json.dumps({"to": stage, "reason": "bench"}).encode()
        return load.request("POST", f"{base}/versions/{ref}/promote", body)
    body = json.dumps({"to": ("1.0.0", "1.1.0")[number % 2], "reason": "bench"}).encode()
    return load.request("POST", f"{base}/rollback", body)


def _counted(total: int, data: bytes) -> load.Make:
    return lambda _, number: data if number < total // CLIENTS else None


async def prepare(port: int) -> None:
    """Register a model for each client: ``bench-0`` and so on."""

    def create(client: int, number: int) -> bytes | None:
        return None if number else load.request("POST", "/v1/models", b'{"name":"bench-%d"}' % client)

    expect(await load.drive(port, CLIENTS, create), 201)


async def visibility(port: int, first: int) -> list[float]:
    """From the answer to a write to the first answer of a read that shows it, in milliseconds, one writer.

    ``first`` and the numbers behind it are of registrations that nobody has made.
    """
    waits = []
    for number in range(VISIBLE):
        body = registration("bench-0", first + number)
        wrote = await load.drive(port, 1, _once(load.request("POST", "/v1/models/bench-0/versions", body)), keep=True)
        position = json.loads(wrote.bodies[0])["position"]
        path = f"/v1/models/bench-0?min_position={position}"
        began = time.perf_counter()
        seen = await load.drive(port, 1, _once(load.request("GET", path)))
        waits.append((time.perf_counter() - began) * 1000)
        expect(seen, 200)
    return waits


def _once(data: bytes) -> load.Make:
    return lambda _, number: None if number else data


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them stays under."""
    return sorted(values)[int(len(values) * share)]


def expect(result: load.Result, status: int) -> None:
    """Stop when anything but ``status`` was answered: other figures mean nothing."""
    if set(result.statuses) != {status}:
        raise RuntimeError(f"expected {status} only, got {dict(result.statuses)}")
