"""The deployer on Kafka: what Faust brings is taken once, whatever is aborted, comes twice or ends in between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from sqlalchemy import create_engine, text
from tests.support.server import RunningServer, running_server
from tests.support.topic_writer import TopicWriter
from tests.support.working import ScriptedLog

from regista.bus.clients import looking
from regista.bus.events.envelope import received
from regista.bus.events.group import begin_behind
from regista.bus.settings import KafkaSettings
from regista.bus.topics.rights import deployer_id
from regista.bus.topics.topology import Topics
from regista.deployer.effects import Deployments
from regista.domain import events as e
from regista.work import orders
from regista.work.database import Work
from regista.work.taking import Taking

pytestmark = pytest.mark.engine("kafka")
ENDPOINT = "endpoint/prod/fraud"
INTENTS = "SELECT position, stream, target, intent FROM deployer_actions ORDER BY position, stream, target"
PATIENCE = 40.0


def eventually(holds: Callable[[], Any], what: Callable[[], object], within: float = PATIENCE) -> None:
    until = time.monotonic() + within
    while not holds():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


def variant(number: int) -> e.Variant:
    return e.Variant(f"1.{number}.0", number + 1, f"sha256:{number:064x}", "champion", 10_000, 0, None)


class Story:
    """A log on Kafka, written as a relay would, and the process that deploys by it."""

    def __init__(self, settings: KafkaSettings, data: Path, writer: TopicWriter) -> None:
        self.settings, self.data, self.writer = settings, data, writer
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
    def deploying(self) -> Iterator[RunningServer]:
        """A process that follows."""
        given = {"kafka": self.settings.kafka, "kafka_prefix": self.settings.kafka_prefix}
        with running_server(self.data, "deploy", ready=False, url="http://127.0.0.1:9", **given) as process:
            eventually(lambda: self.state(process)["state"] == "following", lambda: process.errors)
            yield process

    def state(self, process: RunningServer) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{process.url}/v1/status", timeout=30).json()["components"]["deployer"]
        return found

    def taken(self, process: RunningServer, position: int) -> None:
        eventually(lambda: self.state(process)["position"] >= position, lambda: process.errors)

    def served(self) -> str | None:
        """The digest that the target serves."""
        place = self.data / "targets/edge/files/prod/fraud.json"
        return json.loads(place.read_bytes())["variants"][0]["artifact_digest"] if place.exists() else None

    def serves(self, number: int) -> None:
        eventually(lambda: self.served() == variant(number).artifact_digest, self.served)

    def actions(self) -> list[tuple[Any, ...]]:
        """What was recorded: the position of each action, and what became of it."""
        return self.asked("SELECT position, state FROM deployer_actions ORDER BY position")

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        """What the work database of the process holds."""
        engine = create_engine(f"sqlite:///{self.data / 'work.db'}")
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    async def acknowledged(self) -> int | None:
        """The position of the last event that the group acknowledged."""
        from aiokafka import AIOKafkaConsumer

        from regista.bus.connection import client_options

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


@pytest.fixture
def story(kafka_settings: KafkaSettings, tmp_path: Path) -> Iterator[Story]:
    with TopicWriter(kafka_settings) as writer:
        yield Story(kafka_settings, tmp_path / "data", writer)


async def test_what_was_aborted_is_not_seen_and_an_end_by_signal_leaves_everything_acknowledged(story: Story) -> None:
    with story.deploying() as process:
        first = story.change(1)
        story.serves(1)
        story.change(2, aborted=True)
        last = story.change(3)
        story.serves(3)
        story.taken(process, last)
        assert process.terminate() == 0, process.errors
    assert story.actions() == [(first, "succeeded"), (last, "succeeded")]
    assert await story.acknowledged() == last


def test_after_a_kill_the_next_process_goes_on_where_it_was(story: Story) -> None:
    with story.deploying() as process:
        first = story.change(1)
        story.serves(1)
        process.kill()
        away = story.change(2)
    with story.deploying() as process:
        story.serves(2)
        last = story.change(3)
        story.serves(3)
    assert [position for position, _ in story.actions()] == [first, away, last]


async def test_the_group_begins_behind_what_is_known_and_never_goes_back(story: Story) -> None:
    last = [story.change(number) for number in range(3)][-1]
    for known, begins in ((last - 1, last - 1), (1, last - 1), (last, last)):
        await begin_behind(story.settings, "test", deployer_id(story.settings), known)
        assert await story.acknowledged() == begins


async def test_the_same_story_gives_the_same_actions_from_the_store_and_through_faust(
    story: Story, tmp_path: Path
) -> None:
    before = story.log.position
    with story.deploying() as process:
        story.change(1)
        story.log.append(ENDPOINT, e.EndpointRetired("prod", "fraud", "fraud", (variant(1),), None, 2))
        story.log.append("target/edge", e.TargetChanged("edge", "directory", "", "{}", (), "directory", "", "{}", ()))
        story.writer.publish(*([row] for row in story.log.feed.rows[-2:]))
        story.taken(process, story.log.position)
    with closing(Work.at(tmp_path / "embedded.db")) as work:
        work.migrate(orders.COMPONENT)
        taking = Taking(work, Deployments(lambda: None))
        await taking.claim(story.log.log_id, before)
        await taking.take(story.log.feed.rows)
        embedded = await work.run(lambda c: [tuple(row) for row in c.execute(text(INTENTS))])
    assert story.asked(INTENTS) == embedded
    assert len(embedded) == 2
