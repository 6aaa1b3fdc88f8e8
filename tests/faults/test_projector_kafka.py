"""A projector on Kafka when things die: brokers, a projector, the clients' connections."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.fixtures.kafka import MakeBroker
from tests.support.histories import History
from tests.support.projecting import PATIENCE
from tests.support.projecting_kafka import folded_alone, following, projecting_kafka
from tests.support.projector_child import Child, history_of
from tests.support.topic_writer import TopicWriter

from regista.bus.settings import KafkaSettings
from regista.projections import folding

LONG = 60.0


@pytest.mark.engine("kafka-native")
async def test_views_serve_while_kafka_is_away_and_go_on_when_it_is_back(
    own_broker: MakeBroker, tmp_path: Path
) -> None:
    history, path = history_of(4, 60), tmp_path / "views.db"
    broker = own_broker()
    settings = KafkaSettings(kafka=broker.bootstrap, kafka_prefix="away")
    with TopicWriter(settings) as topic:
        topic.publish(*history.sets[:30])
        async with projecting_kafka(settings, path) as projection:
            await projection.reached(topic.end)
            before = topic.end
            await asyncio.to_thread(broker.kill)
            async with asyncio.timeout(LONG):
                while projection.projector.status().error is None:
                    await projection.projector.wait_for(10**9, 0.05)
            assert "Kafka at" in str(projection.projector.status().error)
            assert "brokers" in str(projection.projector.status().hint)
            async with following(path) as follower:
                assert await follower.wait_for(before, LONG)
                async with asyncio.timeout(LONG):
                    while follower.status().hint != projection.projector.status().hint:
                        await follower.wait_for(10**9, 0.05)
            answer = await projection.client.get("/v1/models/fraud", params={"min_position": before})
            assert answer.status_code == 200
            assert {view.state for view in projection.projector.status().views} == {"live"}
            async with asyncio.timeout(10):
                await projection.projector.close()
        async with projecting_kafka(settings, path) as projection:
            async with asyncio.timeout(LONG):
                while projection.projector.status().error is None:
                    await projection.projector.wait_for(10**9, 0.05)
            assert await projection.projector.wait_for(before, 0), "a start while Kafka is away serves what there is"
            await asyncio.to_thread(broker.start)
            await topic.published(*history.sets[30:])
            assert await projection.projector.wait_for(topic.end, LONG)
            assert projection.projector.status().error is None
            digests = await projection.projector.digests()
            assert {entry.generation for entry in projection.entries()} == {1}
    assert digests == await folded_alone(history, tmp_path / "alone.db")


@pytest.mark.engine("kafka")
async def test_a_standby_goes_on_where_a_killed_projector_was(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    history, path = history_of(6, 120), tmp_path / "views.db"
    with TopicWriter(kafka_settings) as topic, Child(path, kafka_settings) as first:
        assert (await first.said())["leading"]
        with Child(path, kafka_settings) as second:
            async with following(path) as follower:
                topic.publish(*history.sets[:40])
                assert await follower.wait_for(topic.end, PATIENCE)
                await topic.published(*history.sets[40:60])
                first.kill()
                await topic.published(*history.sets[60:])
                assert (await second.said())["leading"]
                assert await follower.wait_for(topic.end, PATIENCE)
                assert follower.status().error is None
                digests = await follower.digests()
    assert digests == await folded_alone(history, tmp_path / "alone.db")


@pytest.mark.engine("kafka")
async def test_views_that_know_more_than_the_topic_are_built_anew_from_it(
    kafka_settings: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "SETTLED", 0.5)
    history, shorter, path = history_of(6, 60), History(), tmp_path / "views.db"
    await folded_alone(history, path)
    shorter.rows, shorter.sets = history.rows[:30], [[row] for row in history.rows[:30]]
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*shorter.sets)
        async with projecting_kafka(kafka_settings, path) as projection:
            async with asyncio.timeout(PATIENCE):
                while {entry.generation for entry in projection.entries()} != {2}:
                    assert (await projection.client.get("/v1/models/fraud")).status_code == 200
                    await projection.projector.wait_for(10**9, 0.02)
            assert {view.position for view in projection.projector.status().views} == {30}
            digests = await projection.projector.digests()
    assert digests == await folded_alone(shorter, tmp_path / "alone.db")
