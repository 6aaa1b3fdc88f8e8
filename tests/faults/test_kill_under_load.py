"""kill -9 of the server at random moments under load: nothing answered is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.server import RunningServer

from regista.domain.chain import event_hash
from regista.store.sqlite import SQLiteLogReader
from regista.store.sqlite.store import LOG_FILE
from regista.store.verify import verify

CLIENTS = 16
MODELS = 4
LOAD = (0.05, 0.6)
"""Seconds of load between the first answer and a kill, at least and at most."""


@dataclass
class Answers:
    """What the clients were told, by idempotency key; and the keys that they go on trying."""

    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: int = 0


def body(number: int) -> dict[str, Any]:
    return {
        "artifact": {"uri": f"s3://models/{number}", "digest": f"sha256:{number:064x}", "size": 10},
        "code": {"commit": "0" * 40},
        "datasets": [{"name": "transactions", "version": "1"}],
        "metrics": {"auc": 0.9},
        "author": "ann",
        "trained_at": "2026-05-04T12:00:00Z",
    }


def commands(client: int, chance: random.Random) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """An endless mix of registrations, promotions, rollbacks and alias moves on a few shared models."""
    for number in count(client * 1_000_000):
        base = f"/v1/models/model-{chance.randrange(MODELS)}"
        some = str(chance.randrange(1, 30))
        stage = chance.choice(("staging", "production"))
        yield "POST", f"{base}/versions", body(number)
        yield "POST", f"{base}/versions/{some}/promote", {"to": stage, "reason": "load"}
        yield "POST", f"{base}/rollback", {"stage": stage, "reason": "load"}
        yield "PUT", f"{base}/aliases/alias-{chance.randrange(3)}", {"version": some}


class Load:
    """Clients that give commands and repeat each, with its key, until it is answered."""

    def __init__(self, seed: int) -> None:
        self.answers = Answers()
        self.answered = asyncio.Event()
        self._chances = [random.Random(f"{seed}-{client}") for client in range(CLIENTS)]
        self._commands = [commands(client, chance) for client, chance in enumerate(self._chances)]
        self._open: dict[int, tuple[str, str, dict[str, Any], str]] = {}
        self._numbers = [count() for _ in range(CLIENTS)]

    async def run(self, url: str, stop: asyncio.Event) -> None:
        self.answered.clear()
        options: dict[str, Any] = {"base_url": url, "timeout": 10, "headers": {"Regista-Actor": "load"}}
        async with httpx.AsyncClient(verify=False, **options) as client:  # noqa: S501 - plain HTTP: spares reading certificates
            await asyncio.gather(*(self._client(client, number, stop) for number in range(CLIENTS)))

    async def _client(self, client: httpx.AsyncClient, number: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if number not in self._open:
                self._open[number] = (*next(self._commands[number]), f"{number}-{next(self._numbers[number])}")
            method, path, content, key = self._open[number]
            try:
                answer = await client.request(method, path, json=content, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                if stop.is_set():
                    return
                continue
            self.answered.set()
            if answer.status_code < 300:
                self.answers.told[key] = answer.json()
            else:
                assert answer.status_code in (404, 409, 503), answer.text
                self.answers.refused += 1
            del self._open[number]


async def one_round(server: RunningServer, load: Load, seconds: float) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(server.url, stop))
    await asyncio.wait({running, asyncio.create_task(load.answered.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({running}, timeout=seconds)
    assert not running.done(), running.exception()
    stop.set()
    await asyncio.to_thread(server.kill)
    await running


def check_log(data: Path, answers: Answers) -> None:
    """Every answered write is there once, as it was answered, and the hashes hold."""
    with closing(SQLiteLogReader(data / LOG_FILE)) as log:
        report = verify(log)
        assert report.ok, report.problems
        for key, told in answers.told.items():
            found = log.find_command("load", key)
            assert found is not None, f"lost: {key} {told}"
            [row] = log.rows_of_command(found)
            told_place = (told["position"], told["stream"], told["sequence"], told["hash"])
            there = (row.position, row.stream, row.sequence, event_hash(row.stream, row.sequence, row.value).hex())
            assert there == told_place
        keys = [command_id for actor, command_id, _ in log.commands() if actor == "load"]
        assert len(keys) == len(set(keys))


def check_views(server: RunningServer) -> None:
    """The views that survived the kills equal views folded anew."""
    with server.client(timeout=120) as client:
        position = client.get("/v1/status").json()["log_position"]
        assert client.get(f"/v1/models/model-0?min_position={position}").status_code == 200
        rebuilt = client.post("/v1/admin/rebuild").json()
    assert rebuilt["equal"], rebuilt
    assert rebuilt["previous"] == rebuilt["digests"]


def kill_rounds(data: Path, rounds: int, seed: int) -> None:
    print(f"seed {seed}")
    chance, load = random.Random(seed), Load(seed)
    server = RunningServer(data)
    try:
        with server.client() as client:
            for number in range(MODELS):
                client.post("/v1/models", json={"name": f"model-{number}"}).raise_for_status()
        for number in range(rounds):
            asyncio.run(one_round(server, load, chance.uniform(*LOAD)))
            check_log(data, load.answers)
            server.restart()
            if number % 10 == 9 or number == rounds - 1:
                check_views(server)
    finally:
        server.close()
    print(f"{rounds} kills, {len(load.answers.told)} answered writes, {load.answers.refused} refusals")
    assert len(load.answers.told) > 10 * rounds


def test_nothing_answered_is_lost_or_repeated_by_5_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path, 5, seed=time.time_ns())


@pytest.mark.soak
def test_nothing_answered_is_lost_or_repeated_by_100_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path, 100, seed=time.time_ns())
