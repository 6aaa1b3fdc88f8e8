"""A deployer killed at any moment: every endpoint ends on the newest of what it wants, and nothing older comes after it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.fixtures.kafka import MakeBroker
from tests.support.deploying import WHY
from tests.support.payloads import numbered_version
from tests.support.postgres_server import deadlocks
from tests.support.server import RunningServer, running_server
from tests.support.topic_writer import TopicWriter
from tests.support.working import ScriptedLog, asked

from regista.bus.settings import KafkaSettings
from regista.store.leadership import lock_key

SETTLED_WITHIN = 60.0
REFUSED = 0.05
"""The share of calls that the target answers with 503."""


class Receiver:
    """A target of the kind ``http`` that writes down, in the order of their arrival, the changes it took."""

    def __init__(self) -> None:
        self.taken: dict[str, list[int]] = defaultdict(list)
        self.keys: dict[str, set[str]] = defaultdict(set)
        self.calls = 0
        self._lock = threading.Lock()
        self._random = random.Random(7)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(receiver.take(body, self.headers["Idempotency-Key"]))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/deploy"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, body: dict[str, Any], key: str) -> int:
        with self._lock:
            self.calls += 1
            if self._random.random() < REFUSED:
                return 503
            self.taken[body["endpoint"]].append(body["change"])
            self.keys[f"{body['endpoint']} {body['change']}"].add(key)
            return 204

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with closing(Receiver()) as made:
        yield made


def eventually(holds: Callable[[], Any], what: Callable[[], object], within: float = SETTLED_WITHIN) -> None:
    until = time.monotonic() + within
    while not holds():
        assert time.monotonic() < until, what()
        time.sleep(0.05)


class Registry:
    """A registry that answers, with endpoints on one target."""

    def __init__(self, process: RunningServer, client: httpx.Client, receiver: Receiver, endpoints: int) -> None:
        self.process = process
        self.client = client
        self.names = [f"e{number}" for number in range(endpoints)]
        self.newest: dict[str, int] = {}
        self.changes: dict[str, set[int]] = defaultdict(set)
        self._turn = 0
        self.send("POST", "models", {"name": "fraud"})
        for number in range(2):
            self.send("POST", "models/fraud/versions", numbered_version(number))
            self.send(
                "POST", f"models/fraud/versions/{number + 1}/promote", {"to": "staging", "keep_existing": True, **WHY}
            )
        self.send("PUT", "environments/prod", {"stages": ["staging"]})
        self.send("PUT", "targets/edge", {"kind": "http", "settings": {"url": receiver.url}})
        for name in self.names:
            self.send("POST", "endpoints", {"environment": "prod", "name": name, "model": "fraud", "targets": ["edge"]})

    def send(self, method: str, path: str, body: object) -> Any:
        answer = self.client.request(method, f"/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def change(self, name: str) -> None:
        self._turn += 1
        weight = 1 + self._turn % 98
        variants = [{"version": "1", "weight": weight}, {"version": "2", "weight": 100 - weight}]
        change = self.send("PUT", f"endpoints/prod/{name}/traffic", {"variants": variants, **WHY})["change"]
        self.newest[name] = change
        self.changes[name].add(change)

    def reported(self) -> dict[str, set[int]]:
        """The changes of each endpoint of which the log says what became of them."""
        told: dict[str, set[int]] = defaultdict(set)
        after = 0
        while items := self.client.get(
            "/v1/events", params={"after": after, "limit": 1000, "type": "regista.endpoint.deployment-reported.v1"}
        ).json()["items"]:
            for item in items:
                told[item["data"]["endpoint"]].add(item["data"]["change"])
            after = items[-1]["position"]
        return told


_CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND classid::bigint << 32 | objid::bigint = %s"
)


def open_actions(data: Path) -> list[tuple[Any, ...]]:
    return asked(data, "SELECT position, state, detail FROM deployer_actions WHERE state IN ('pending', 'running')")


def part(process: RunningServer, name: str = "deployer") -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{process.url}/v1/status", timeout=30).json()["components"][name]
    return found


@contextmanager
def registry(data: Path, receiver: Receiver, endpoints: int, **given: Any) -> Iterator[Registry]:
    """A process that answers and makes the views, and beside it whatever Kafka needs."""
    with ExitStack() as stack:
        serve = stack.enter_context(running_server(data, "serve", ready=False, **given))
        for process in ("project", "relay") if "kafka" in given else ("project",):
            stack.enter_context(running_server(data, process, **given))
        serve.await_ready()
        yield Registry(serve, stack.enter_context(serve.client()), receiver, endpoints)


def torment(
    data: Path, receiver: Receiver, *, changes: int, endpoints: int, kills: int, seed: int = 1, **given: Any
) -> None:
    chance = random.Random(seed)
    with registry(data, receiver, endpoints, **given) as made:
        beside = {"url": made.process.url, "allow_private": "true", "deploy_grace": 2, **given}
        with running_server(data, "deploy", ready=False, **beside) as deploy:
            eventually(lambda: part(deploy)["state"] == "following", lambda: deploy.errors)
            turns = chance.choices(made.names, k=changes)
            ends = set(chance.sample(range(changes), kills))
            for turn, name in enumerate(turns):
                made.change(name)
                if turn in ends:
                    time.sleep(chance.uniform(0, 0.3))  # where it is just then, is the point
                    deploy.kill()
                    deploy.restart()
            end = max(made.send("PUT", "environments/prod", {"stages": ["staging"]})["position"], 1)
            eventually(lambda: part(deploy)["position"] >= end, lambda: deploy.errors)
            eventually(lambda: not open_actions(data), lambda: (open_actions(data), deploy.errors))
            eventually(lambda: made.reported() == made.changes, lambda: (made.reported(), made.changes))
            assert deploy.terminate() == 0, deploy.errors

        assert {name: taken[-1] for name, taken in receiver.taken.items()} == made.newest
        for name, taken in receiver.taken.items():
            assert taken == sorted(taken), f"{name} was given something older after something newer"
        assert {len(keys) for keys in receiver.keys.values()} == {1}
        outcomes = asked(data, "SELECT position FROM deployer_outcomes WHERE type LIKE '%traffic-changed%'")
        assert len(outcomes) == changes

        calls = receiver.calls
        for file in data.glob("work.db*"):
            file.unlink()
        with running_server(data, "deploy", ready=False, **beside) as deploy:
            eventually(lambda: part(deploy)["state"] == "following", lambda: deploy.errors)
            made.change("e0")
            eventually(lambda: receiver.taken["e0"][-1] == made.newest["e0"], lambda: deploy.errors)
        assert [taken[-1] for name, taken in receiver.taken.items() if name != "e0"] == [
            made.newest[name] for name in receiver.taken if name != "e0"
        ]
        assert sum(map(len, receiver.taken.values())) >= 1
        assert receiver.calls - calls < 10  # the one change, and what was refused of it


def test_a_deployer_that_is_killed_ends_on_the_newest_and_applies_nothing_older(
    tmp_path: Path, receiver: Receiver
) -> None:
    torment(tmp_path / "data", receiver, changes=40, endpoints=5, kills=2)


@pytest.mark.engine("postgres")
def test_of_two_deployers_with_data_of_their_own_neither_gives_a_target_what_is_older(
    tmp_path: Path, receiver: Receiver, postgres_database: str
) -> None:
    """Of what a target has, the folder of the other one knows nothing: the work database alone keeps the order."""
    chance = random.Random(3)
    with registry(tmp_path / "data", receiver, 4, database=postgres_database) as made, ExitStack() as stack:
        beside = {"url": made.process.url, "allow_private": "true", "deploy_grace": 2, "database": postgres_database}
        deployers = [
            stack.enter_context(running_server(tmp_path / name, "deploy", ready=False, **beside))
            for name in ("one", "other")
        ]

        def states() -> list[str]:
            return [part(deployer)["state"] for deployer in deployers if deployer.process.poll() is None]

        def leader() -> RunningServer:
            found: list[RunningServer] = []

            def is_found() -> bool:
                alive = [deployer for deployer in deployers if deployer.process.poll() is None]
                found[:] = [deployer for deployer in alive if part(deployer)["state"] == "following"]
                return bool(found)

            eventually(is_found, lambda: [d.errors for d in deployers])
            return found[0]

        def changed(many: int) -> None:
            for name in chance.choices(made.names, k=many):
                made.change(name)

        eventually(lambda: sorted(states()) == ["following", "standing by"], states)
        changed(12)
        with psycopg.connect(postgres_database, autocommit=True) as server:
            cut = server.execute(_CUT, [lock_key("work deployer")]).fetchall()
        assert cut == [(True,)], "the one that loses its place lives, and goes on"
        changed(12)
        killed = leader()
        killed.kill()
        changed(12)
        killed.restart()
        changed(6)
        ending = leader()
        assert ending.terminate() == 0, ending.errors
        changed(6)
        eventually(lambda: made.reported() == made.changes, lambda: (made.reported(), made.changes))
        assert {name: taken[-1] for name, taken in receiver.taken.items()} == made.newest
        for name, taken in receiver.taken.items():
            assert taken == sorted(taken), f"{name} was given something older after something newer"
        assert {len(keys) for keys in receiver.keys.values()} == {1}
    assert deadlocks(postgres_database) == 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_a_deployer_killed_fifty_times_during_five_hundred_changes(
    tmp_path: Path, receiver: Receiver, seed: int
) -> None:
    torment(tmp_path / "data", receiver, changes=500, endpoints=20, kills=50, seed=seed)


@pytest.mark.soak
@pytest.mark.engine("kafka")
def test_a_deployer_on_kafka_killed_at_random(
    tmp_path: Path, receiver: Receiver, kafka_settings: KafkaSettings
) -> None:
    given: dict[str, Any] = {"kafka": kafka_settings.kafka, "kafka_prefix": kafka_settings.kafka_prefix}
    torment(tmp_path / "data", receiver, changes=500, endpoints=20, kills=20, **given)


@pytest.mark.soak
def test_a_deployer_whose_kafka_is_gone_ends_when_it_is_told_to(tmp_path: Path, own_broker: MakeBroker) -> None:
    broker = own_broker()
    settings = KafkaSettings(kafka=broker.bootstrap, kafka_prefix="gone")
    log = ScriptedLog()
    log.alias()
    given = {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix}
    with TopicWriter(settings) as writer:
        writer.publish(log.feed.rows)
        with running_server(tmp_path / "data", "deploy", ready=False, url="http://127.0.0.1:9", **given) as deploy:
            log.alias()
            writer.publish(log.feed.rows[-1:])
            eventually(lambda: part(deploy)["position"] == log.position, lambda: deploy.errors)
            broker.kill()
            deploy.terminate(60.0)
