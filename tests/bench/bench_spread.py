"""A registry as it is run with Kafka: processes that write, publish and make views, a broker, and PostgreSQL.

``spread=2000000`` gives the relay that many events to publish while its memory is watched.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import httpx
from aiokafka import TopicPartition
from tests.bench import load, processes
from tests.bench.bench_http import CLIENTS, expect, percentile, prepare, registration, visibility
from tests.bench.processes import Server
from tests.bench.report import Row
from tests.support.postgres_server import PostgresServer, fresh_database, why_not
from tests.support.sample_events import example

from native_kafka import Cluster
from regista.bus.clients import reading
from regista.bus.events.envelope import received
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain.chain import Row as Event
from regista.domain.events import VersionPromoted
from regista.domain.records import meta_to_record, to_record
from regista.schemas.codec import encode
from regista.store.append import CommandKey
from regista.store.command_sets import CommandSet
from regista.store.sqlite import SQLiteLogStore

EVENTS = 200_000
A_SECOND = 200
WRITES = 2_000
WRITERS = 8
REGISTRATIONS = 8_000
PATIENCE = 600.0


def run(events: int = EVENTS) -> list[Row]:
    """All rows of this file."""
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "kafka") as kafka:
        folder = Path(name)
        return [
            *_latencies(folder / "spread", _settings(kafka)),
            *_stores(folder),
            *_memory(folder / "large", _settings(kafka), events),
        ]


def _settings(kafka: Cluster) -> KafkaSettings:
    return KafkaSettings(kafka=kafka.bootstrap, kafka_prefix=f"bench-{uuid4().hex[:8]}")


def _given(settings: KafkaSettings) -> dict[str, str]:
    return {"kafka": str(settings.kafka), "kafka_prefix": settings.kafka_prefix}


@contextmanager
def _spread(data: Path, settings: KafkaSettings) -> Iterator[Server]:
    """The process that answers, with the one that publishes and the one that makes the views beside it."""
    given = _given(settings)
    data.mkdir()
    with ExitStack() as stack:
        stack.enter_context(processes.registry(data, "project", probe="/healthz", **given))
        serve = stack.enter_context(processes.registry(data, "serve", probe="/healthz", **given))
        stack.enter_context(processes.registry(data, "relay", **given))
        processes.await_ready(serve)
        yield serve


def _latencies(data: Path, settings: KafkaSettings) -> list[Row]:
    with _spread(data, settings) as serve:
        asyncio.run(prepare(serve.port))
        readable, answered = asyncio.run(_readable(serve.port, settings))
        visible = asyncio.run(visibility(serve.port, WRITES))
    return [
        Row(f"writes, {A_SECOND} a second: answered within, p50", percentile(answered, 0.5), "ms"),
        Row("… p99", percentile(answered, 0.99), "ms"),
        Row("… answered to readable by a committed consumer, p50", percentile(readable, 0.5), "ms"),
        Row("… p99", percentile(readable, 0.99), "ms", "< 50"),
        Row("write answered to visible in the query API, over Kafka, p50", percentile(visible, 0.5), "ms"),
        Row("… p99", percentile(visible, 0.99), "ms", "< 150"),
    ]


async def _readable(port: int, settings: KafkaSettings) -> tuple[list[float], list[float]]:
    """Milliseconds from an answer to the record at a consumer, and from a request to its answer."""
    seen: dict[int, float] = {}
    answered: dict[int, float] = {}
    waits: list[float] = []
    partition = TopicPartition(Topics(settings.kafka_prefix).events, 0)

    async def consume() -> None:
        async with reading(settings, "bench", partition) as consumer:
            [end] = (await consumer.end_offsets([partition])).values()
            consumer.seek(partition, end)
            while len(answered) < WRITES or not answered.keys() <= seen.keys():
                found = await consumer.getmany(partition, timeout_ms=200)
                now = time.perf_counter()
                for record in found.get(partition, ()):
                    seen[received(record).row.position] = now

    async def write(writer: int) -> None:
        began = time.perf_counter()
        kind = {"content-type": "application/json"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=kind) as client:
            for number in range(WRITES // WRITERS):
                due = began + (number + writer / WRITERS) * WRITERS / A_SECOND
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                asked = time.perf_counter()
                path = f"/v1/models/bench-{writer}/versions"
                answer = await client.post(path, content=registration(f"bench-{writer}", number))
                answered[answer.raise_for_status().json()["position"]] = now = time.perf_counter()
                waits.append((now - asked) * 1000)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(consume())
        for writer in range(WRITERS):
            tasks.create_task(write(writer))
    return [max(0.0, seen[position] - at) * 1000 for position, at in answered.items()], waits


def _stores(folder: Path) -> list[Row]:
    """Registrations over HTTP, with log and views in files and in PostgreSQL, by an api and by one process for all."""
    files = asyncio.run(_register("serve", folder / "files"))
    rows = [Row(f"registrations over HTTP, {CLIENTS} clients, api, SQLite", files.rate, "/s")]
    if why_not() is not None:
        return rows
    with PostgresServer(durable=True) as server:
        with fresh_database(server.url) as url:
            postgres = asyncio.run(_register("serve", folder / "none", database=url))
        with fresh_database(server.url) as url:
            alone = asyncio.run(_register("up", folder / "none", database=url))
    return [
        *rows,
        Row(f"registrations over HTTP, {CLIENTS} clients, api, PostgreSQL", postgres.rate, "/s", ">= 2000"),
        Row("… p99", postgres.percentile(0.99), "ms"),
        Row("… of those with SQLite", postgres.rate / files.rate),
        Row("… by regista up, which makes the views as well", alone.rate, "/s"),
    ]


async def _register(what: str, data: Path, **settings: str) -> load.Result:
    def register(client: int, number: int) -> bytes | None:
        if number >= REGISTRATIONS // CLIENTS:
            return None
        model = f"bench-{client}"
        return load.request("POST", f"/v1/models/{model}/versions", registration(model, number))

    # An api without a projector takes writes; it is not ready, since nobody makes the views.
    with processes.registry(data, what, probe="/healthz", **settings) as server:
        await prepare(server.port)
        result = await load.drive(server.port, CLIENTS, register)
    expect(result, 201)
    return result


def _memory(data: Path, settings: KafkaSettings, events: int) -> list[Row]:
    """The resident memory of a relay after a quarter of the events and after all of them."""
    with closing(SQLiteLogStore(data)) as store:
        store.adopt(_events(events), "large")
    with processes.registry(data, "relay", **_given(settings)) as relay:
        early = _memory_at(relay, events // 4)
        late = _memory_at(relay, events)
    return [
        Row(f"relay's memory after {events // 4:,} events", early, "MiB"),
        Row(f"… after {events:,}", late, "MiB"),
        Row("… growth", late - early, "MiB", "< 16"),
    ]


def _memory_at(relay: Server, position: int) -> float:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        status = httpx.get(f"http://127.0.0.1:{relay.port}/v1/status", timeout=30).raise_for_status().json()
        if status["components"]["relay"]["position"] >= position:
            return relay.memory
        time.sleep(0.05)
    raise TimeoutError(json.dumps(status))


def _events(count: int) -> Iterator[CommandSet]:
    """A log of promotions, each by a command of its own. They are events, and no history: only a relay takes them."""
    meta, event = example(VersionPromoted, "full")
    record = {"meta": meta_to_record(meta), **to_record(event)}
    for position in range(1, count + 1):
        command = CommandKey("bench", f"command-{position}", sha256(b"%d" % position).digest())
        of = {"actor": command.actor, "command_id": command.command_id, "command_digest": command.digest}
        value = encode("VersionPromoted", record | {"meta": record["meta"] | of})
        stream, sequence = f"model/bench-{position % 1_000}", (position - 1) // 1_000 + 1
        yield CommandSet(command, (Event(position, stream, sequence, VersionPromoted.TYPE, value),))
