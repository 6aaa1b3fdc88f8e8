"""The deployer on Kafka: what Faust brings is taken once, whatever is aborted, comes twice or ends in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.deploying_kafka import ENDPOINT, Story, variant
from tests.support.topic_writer import TopicWriter

from regista.bus.events.group import begin_behind
from regista.bus.settings import KafkaSettings
from regista.bus.topics.rights import deployer_id
from regista.deployer.effects import Deployments
from regista.domain import events as e
from regista.work import orders
from regista.work.database import Work
from regista.work.taking import Taking

pytestmark = pytest.mark.engine("kafka")
INTENTS = "SELECT position, stream, target, intent FROM deployer_actions ORDER BY position, stream, target"


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
