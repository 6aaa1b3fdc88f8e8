"""A registry spread over processes: one answers, one publishes, one makes the views, and Kafka lies between them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fixtures.kafka import KafkaCluster
from tests.support.payloads import version_body
from tests.support.postgres_server import fresh_database
from tests.support.server import RunningServer, running_server, start_and_fail

import regista
from regista.bus.settings import KafkaSettings

pytestmark = pytest.mark.engine("kafka")


class Spread:
    """The three processes."""

    def __init__(self, serve: RunningServer, relay: RunningServer, project: RunningServer) -> None:
        self.serve, self.relay, self.project = serve, relay, project


def of_kafka(settings: KafkaSettings) -> dict[str, Any]:
    return {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def stores(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the log and the views lie."""
    if request.param == "sqlite":
        return {}
    return {"database": request.getfixturevalue("postgres_database")}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def spread(
    request: pytest.FixtureRequest, kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Spread]:
    """One registry on each engine: each test has a model of its own in it."""
    data = tmp_path_factory.mktemp("spread") / "data"  # which none of them finds there
    given: dict[str, Any] = of_kafka(KafkaSettings(kafka=kafka.bootstrap, kafka_prefix=f"spread-{request.param}"))
    with ExitStack() as stack:
        if request.param == "postgres":
            given["database"] = stack.enter_context(fresh_database(request.getfixturevalue("postgres").url))
        project = stack.enter_context(running_server(data, "project", **given))
        serve = stack.enter_context(running_server(data, "serve", ready=False, **given))
        relay = stack.enter_context(running_server(data, "relay", **given))
        serve.await_ready()
        yield Spread(serve, relay, project)


def status(process: RunningServer) -> dict[str, Any]:
    answer = httpx.get(f"{process.url}/v1/status", timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_relayed(client: httpx.Client, position: int) -> None:
    wait_until(lambda: client.get("/v1/status").json()["components"]["relay"]["position"] >= position)


def test_what_one_process_writes_another_shows_once_kafka_has_it(spread: Spread) -> None:
    with spread.serve.client() as client:
        assert client.post("/v1/models", json={"name": "written"}).status_code == httpx.codes.CREATED
        written = client.post("/v1/models/written/versions", json=version_body("1.0.0"))
        assert written.status_code == httpx.codes.CREATED, written.text
        position = written.json()["position"]
        moved = client.post("/v1/models/written/versions/1.0.0/promote", json={"to": "staging", "reason": "fit"})
        fresh = client.get("/v1/models/written/versions/1.0.0", params={"min_position": moved.json()["position"]})
        assert fresh.json()["stage"] == "staging"
        verified = client.post("/v1/admin/verify", params={"kafka": True}, timeout=60)
        assert verified.status_code == httpx.codes.OK, spread.serve.errors[-3000:]
        assert verified.json()["ok"], verified.text
        assert verified.json()["kafka"]["head"] == verified.json()["head"]
        assert position < moved.json()["position"]


def test_every_process_says_how_it_stands(spread: Spread) -> None:
    with spread.serve.client() as client:
        position = client.post("/v1/models", json={"name": "told"}).json()["position"]
        client.get("/v1/models/told", params={"min_position": position})
    with httpx.Client(base_url=spread.relay.url, timeout=30) as client:
        wait_until_relayed(client, position)
    wait_until(lambda: status(spread.project)["log_id"] != "")  # which it asks Kafka for beside its work
    relay, serve, project = status(spread.relay), status(spread.serve), status(spread.project)
    assert relay["components"]["relay"]["state"] == "leading"
    assert relay["components"]["relay"]["position"] == position
    assert {view["position"] for view in project["views"]} == {position}
    assert {found["log_id"] for found in (relay, serve, project)} == {serve["log_id"]}
    assert serve["components"]["intake"]["error"] is None
    metrics = httpx.get(f"{spread.relay.url}/metrics", timeout=30).text
    assert f'regista_relay_position{{relay="relay"}} {float(position)}' in metrics
    assert httpx.get(f"{spread.project.url}/readyz", timeout=30).status_code == httpx.codes.OK


def test_a_subscriber_begins_at_the_end_of_the_log_however_far_the_views_are_behind(spread: Spread) -> None:
    def place() -> int:
        async def opened() -> int:
            async with regista.Subscriber(spread.serve.url) as subscribed:
                return subscribed.position

        return asyncio.run(opened())

    with ThreadPoolExecutor(1) as thread, spread.serve.client() as client:
        os.kill(spread.project.process.pid, signal.SIGSTOP)
        try:
            written = client.post("/v1/models", json={"name": "behind"}).json()["position"]
            found = thread.submit(place)
            wait_until(lambda: status(spread.serve)["log_position"] == written)
            assert not wait([found], timeout=1).done
        finally:
            os.kill(spread.project.process.pid, signal.SIGCONT)
        assert found.result(60) == written


def test_a_rebuild_asked_of_the_one_is_made_by_the_other(spread: Spread) -> None:
    with spread.serve.client() as client:
        assert client.post("/v1/models", json={"name": "rebuilt"}).status_code == httpx.codes.CREATED
        rebuilt = client.post("/v1/admin/rebuild", timeout=60)
        assert rebuilt.status_code == httpx.codes.OK, rebuilt.text
        assert rebuilt.json()["equal"]


def test_a_relay_waits_for_the_log_that_it_is_to_publish(
    kafka_settings: KafkaSettings, stores: dict[str, Any], tmp_path: Path
) -> None:
    given = of_kafka(kafka_settings) | stores
    with ThreadPoolExecutor(1) as thread, ExitStack() as stack:
        early = thread.submit(lambda: stack.enter_context(running_server(tmp_path, "relay", **given)))
        stack.enter_context(running_server(tmp_path, "serve", ready=False, **given))
        assert status(early.result(60))["components"]["relay"]["error"] is None


def test_one_process_does_it_all_and_answers_once_kafka_has_it(
    kafka_settings: KafkaSettings, stores: dict[str, Any], tmp_path: Path
) -> None:
    given = of_kafka(kafka_settings) | stores | {"acknowledge": "kafka"}
    with running_server(tmp_path, **given) as server, server.client() as client:
        for number in range(5):
            written = client.post("/v1/models", json={"name": f"model-{number}"})
            assert written.status_code == httpx.codes.CREATED, written.text
            # Who waits is woken by what can be read, a moment before the relay hears that its commit is done.
            wait_until_relayed(client, written.json()["position"])
        assert client.get("/readyz").status_code == httpx.codes.OK


def test_commands_go_on_while_kafka_is_away(tmp_path: Path) -> None:
    with running_server(tmp_path, kafka="127.0.0.1:9") as server, server.client() as client:
        assert client.post("/v1/models", json={"name": "fraud"}).status_code == httpx.codes.CREATED
        assert client.get("/v1/models/fraud", params={"min_position": 2}).status_code == httpx.codes.OK
        relay = client.get("/v1/status").json()["components"]["relay"]
        assert relay["state"] in {"starting", "waiting"}


def test_answers_that_kafka_has_to_know_say_so_when_it_does_not(tmp_path: Path) -> None:
    given: dict[str, Any] = {"kafka": "127.0.0.1:9", "acknowledge": "kafka", "acknowledge_timeout": 0.2}
    with running_server(tmp_path, **given) as server, server.client() as client:
        answer = client.post("/v1/models", json={"name": "fraud"}, headers={"Idempotency-Key": "one"})
        assert (answer.status_code, answer.json()["code"]) == (httpx.codes.SERVICE_UNAVAILABLE, "not_acknowledged")
        again = client.post("/v1/models", json={"name": "fraud"}, headers={"Idempotency-Key": "one"})
        assert again.json()["code"] == "not_acknowledged"
        assert "The relay waits (kafka_unavailable)" in again.json()["hint"]
        assert client.get("/v1/status").json()["log_position"] == 2


def test_such_an_answer_says_that_the_relay_has_halted_or_where_to_look(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    given: dict[str, Any] = of_kafka(kafka_settings) | {"acknowledge": "kafka", "acknowledge_timeout": 0.5}
    with running_server(tmp_path / "first", **of_kafka(kafka_settings)) as server, server.client() as client:
        wait_until_relayed(client, client.post("/v1/models", json={"name": "fraud"}).json()["position"])
    with running_server(tmp_path / "second", ready=False, **given) as server, server.client() as client:
        wait_until(lambda: client.get("/v1/status").json()["components"]["relay"]["state"] == "halted")
        answer = client.post("/v1/models", json={"name": "fraud"}).json()
        assert answer["code"] == "not_acknowledged"
        assert "Idempotency-Key" in answer["hint"]
        assert "halted (foreign_log)" in answer["hint"]
        assert "REGISTA_KAFKA_PREFIX" in answer["hint"]
    with running_server(tmp_path / "third", "serve", ready=False, **given) as server, server.client() as client:
        answer = client.post("/v1/models", json={"name": "fraud"}).json()
        assert answer["code"] == "not_acknowledged"
        assert "regista relay" in answer["hint"]


def test_topics_of_another_kind_keep_it_from_starting(kafka_settings: KafkaSettings, tmp_path: Path) -> None:

    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_settings.kafka)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(f"{kafka_settings.kafka_prefix}.events.v1", 3, 1)])
        finally:
            await admin.close()

    asyncio.run(create())
    ended = start_and_fail(tmp_path, **of_kafka(kafka_settings))
    assert ended.returncode == 1
    assert "events.v1" in ended.stderr
