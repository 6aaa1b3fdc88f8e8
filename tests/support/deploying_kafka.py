"""A log on Kafka, written as a relay would, and the process that deploys by it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from tests.support.server import RunningServer, running_server
from tests.support.topic_writer import TopicWriter
from tests.support.working import ScriptedLog, asked

from regista.bus.clients import looking
from regista.bus.connection import client_options
from regista.bus.events.envelope import received
from regista.bus.settings import KafkaSettings
from regista.bus.topics.rights import deployer_id
from regista.bus.topics.topology import Topics
from regista.domain import events as e

ENDPOINT = "endpoint/prod/fraud"
PATIENCE = 40.0


def eventually(holds: Callable[[], Any], what: Callable[[], object], within: float = PATIENCE) -> None:
    until = time.monotonic() + within
    while not holds():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


def variant(number: int) -> e.Variant:
    return e.Variant(f"1.{number}.0", number + 1, f"sha256:{number:064x}", "champion", 10_000, 0, None)


class Story:
    """``settings`` are those of the test; the process has the same, unless it is ``given`` others."""

    def __init__(
        self, settings: KafkaSettings, data: Path, writer: TopicWriter, given: dict[str, Any] | None = None
    ) -> None:
        self.settings, self.data, self.writer = settings, data, writer
        self.given = given or {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix}
        self.log = ScriptedLog()
        self.log.append("target/edge", e.TargetCreated("edge", "directory", "", "{}", ()))
        created = e.EndpointCreated("prod", "fraud", "fraud", ("edge",), None, False, (), "")
        self.log.append(ENDPOINT, created)
        self.writer.publish(*([row] for row in self.log.feed.rows))

    def change(self, number: int, *, aborted: bool = False) -> int:
        """Publish that a version is to be served; the position."""
        position = self.log.append(
            ENDPOINT, e.TrafficChanged("prod", "fraud", "fraud", (variant(number),), None, (), None, None)
        )
        row = self.log.feed.rows[-1]
        self.writer.abort([row]) if aborted else self.writer.publish([row])
        return position

    @contextmanager
    def deploying(self, data: Path | None = None, state: str = "following") -> Iterator[RunningServer]:
        """A process that follows, or stands by; on ``data`` of its own where that is given."""
        given = {"ready": False, "url": "http://127.0.0.1:9", **self.given}
        with running_server(data or self.data, "deploy", **given) as process:
            eventually(lambda: self.state(process)["state"] == state, lambda: process.errors)
            yield process

    def part(self, process: RunningServer, name: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{process.url}/v1/status", timeout=30).json()["components"][name]
        return found

    def state(self, process: RunningServer) -> dict[str, Any]:
        return self.part(process, "deployer")

    def taken(self, process: RunningServer, position: int) -> None:
        eventually(lambda: self.state(process)["position"] >= position, lambda: process.errors)

    def served(self) -> str | None:
        """The digest that the target serves."""
        place = self.data / "targets/edge/files/prod/fraud.json"
        return json.loads(place.read_bytes())["variants"][0]["artifact_digest"] if place.exists() else None

    def serves(self, number: int) -> None:
        eventually(lambda: self.served() == variant(number).artifact_digest, self.served)

    def around_an_aborted_change(self, process: RunningServer) -> tuple[int, int]:
        """The positions of two changes that are served, one after the other, though one between them was aborted."""
        first = self.change(1)
        self.serves(1)
        self.change(2, aborted=True)
        last = self.change(3)
        self.serves(3)
        self.taken(process, last)
        return first, last

    def actions(self) -> list[tuple[Any, ...]]:
        """What was recorded: the position of each action, and what became of it."""
        return self.asked("SELECT position, state FROM deployer_actions ORDER BY position")

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        """What the work database of the process holds."""
        return asked(self.data, query)

    async def acknowledged(self) -> int | None:
        """The position of the last event that the group acknowledged."""
        partition = TopicPartition(Topics(self.settings.kafka_prefix).events, 0)
        group = AIOKafkaConsumer(group_id=deployer_id(self.settings), **client_options(self.settings, "test"))
        await group.start()
        try:
            offset = await group.committed(partition)
        finally:
            await group.stop()
        if not offset:
            return None
        async with looking(self.settings, "test", partition) as consumer:
            await consumer.seek_to_beginning(partition)
            last = None
            while await consumer.position(partition) < offset:
                for record in (await consumer.getmany(partition, timeout_ms=100)).get(partition, ()):
                    last = received(record).row.position if record.offset < offset else last
            return last
