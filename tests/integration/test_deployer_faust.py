"""The deployer on Kafka: what Faust brings is taken once, whatever is aborted, comes twice or ends in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.deploying_kafka import ENDPOINT, Story, eventually, variant
from tests.support.server import RunningServer
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
        first, last = story.around_an_aborted_change(process)
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


@contextmanager
def beside(story: Story, data: Path) -> Iterator[RunningServer]:
    """A second process, with a work database of its own, that has found the first one in the group."""
    with story.deploying(data, "standing by") as other:
        eventually(lambda: "another deployer works" in other.errors, lambda: story.state(other))
        yield other


def test_of_those_with_a_work_database_each_one_follows_and_the_others_stand_by(story: Story, tmp_path: Path) -> None:
    """Else events would go to either of them, and neither would know what the other one was told."""
    with story.deploying() as one:
        story.change(1)
        story.serves(1)
        with beside(story, tmp_path / "other") as other:
            assert (story.state(other)["state"], story.state(other)["position"]) == ("standing by", 0)
            assert one.terminate() == 0, one.errors
            eventually(lambda: story.state(other)["state"] == "following", lambda: other.errors)
            last = story.change(2)
            story.taken(other, last)
            assert story.state(other)["effects_from"] == last


@pytest.mark.soak
def test_who_was_frozen_is_told_what_others_were_told_meanwhile_or_ends(story: Story, tmp_path: Path) -> None:
    with story.deploying() as one:
        story.change(1)
        story.serves(1)
        with beside(story, tmp_path / "other") as other:
            os.kill(one.process.pid, signal.SIGSTOP)
            eventually(lambda: story.state(other)["state"] == "following", lambda: other.errors)
            story.taken(other, story.change(2))
            os.kill(one.process.pid, signal.SIGCONT)
            processes = [one, other]
            eventually(
                lambda: [p.process.poll() for p in processes].count(None) == 1, lambda: one.errors + other.errors
            )
            [left] = [p for p in processes if p.process.poll() is None]
            [ended] = [p for p in processes if p is not left]
            assert "another deployer follows" in ended.errors
            story.change(3)
            story.taken(left, story.log.position)
            if left is one:
                assert [position for position, _ in story.actions()] == [3, 4, 5]


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
