"""Views built from Kafka alone: the same as those built from the store, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from tests.support.histories import History, wander
from tests.support.projecting import PATIENCE, Places, defective
from tests.support.projecting_kafka import KafkaProjection, folded_alone, following, projecting_kafka
from tests.support.projector_child import Child
from tests.support.topic_writer import TopicWriter

from regista.bus.settings import KafkaSettings
from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections import runner
from regista.projections.views import aliases
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS

pytestmark = pytest.mark.engine("kafka")


def random_history(steps: int = 100) -> History:
    history = History()
    for _ in wander(history, random.Random(11), steps):
        pass
    return history


def broken_at(position: int) -> tuple[View, ...]:
    """The views, with a defect in that of aliases: it cannot apply the event at a position."""
    broken = defective(aliases.VIEW, position)
    return tuple(broken if view.name == "aliases" else view for view in VIEWS)


async def all_stand_before(projection: KafkaProjection, position: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while {view.stands_before for view in projection.projector.status().views} != {position}:
            await projection.projector.wait_for(10**9, 0.01)


async def test_views_from_kafka_are_those_from_the_store(kafka_settings: KafkaSettings, places: Places) -> None:
    history, never = random_history(), History()
    never.register_model("never")
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets[:60])
        topic.abort([never.rows[1]._replace(position=topic.end + 1)])
        async with projecting_kafka(kafka_settings, places()) as projection:
            await projection.reached(topic.end)
            topic.abort([never.rows[1]._replace(position=topic.end + 1)])
            await topic.published(*history.sets[60:])
            await projection.reached(topic.end)
            digests = await projection.projector.digests()
    assert digests == await folded_alone(history, places("alone"))


async def test_a_projector_may_be_there_before_the_first_event(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    history = random_history(5)
    with TopicWriter(kafka_settings) as topic:
        topic.abort(history.sets[0])
        async with projecting_kafka(kafka_settings, tmp_path / "views.db") as projection:
            async with asyncio.timeout(PATIENCE):
                while "holds no event yet" not in str(projection.projector.status().error):
                    await projection.projector.wait_for(1, 0.01)
            await topic.published(*history.sets)
            await projection.reached(topic.end)
            assert projection.projector.status().error is None


async def test_a_projector_goes_on_where_the_last_one_ended(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    history = random_history()
    with TopicWriter(kafka_settings) as topic:
        for start in range(0, len(history.sets), 40):
            topic.publish(*history.sets[start : start + 40])
            async with projecting_kafka(kafka_settings, tmp_path / "views.db") as projection:
                await projection.reached(topic.end)
                digests = await projection.projector.digests()
    assert digests == await folded_alone(history, tmp_path / "alone.db")


async def test_an_event_of_an_unknown_type_stops_the_views_until_it_is_passed_over(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    history = random_history()
    end = history.rows[-1].position
    unknown = Row(end + 1, "model/new", 1, "regista.model.invented.v9", b"\xc3\x01" + bytes(8) + b"?")
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets)
        async with projecting_kafka(kafka_settings, tmp_path / "views.db") as projection:
            await projection.reached(end)
            await topic.published_as_they_are(unknown)
            await all_stand_before(projection, end + 1)
            views = projection.projector.status().views
            assert {(view.state, view.position) for view in views} == {("degraded", end)}
            assert (await projection.client.get("/v1/models/fraud")).status_code == 200
            for view in VIEWS:
                await projection.projector.skip(end + 1, "of a newer release", view.name, actor="ann")
            await projection.reached(end + 1)
            assert {view.state for view in projection.projector.status().views} == {"live"}


async def test_a_view_that_stopped_goes_on_after_an_upgrade(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    history = random_history()
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets[:50])
        async with projecting_kafka(kafka_settings, tmp_path / "views.db", broken_at(80)) as projection:
            await projection.reached(topic.end)
            await topic.published(*history.sets[50:])
            others = [view.name for view in VIEWS if view.name != "aliases"]
            assert await projection.projector.wait_for(topic.end, PATIENCE, others)
            async with asyncio.timeout(PATIENCE):
                while {v.name: v for v in projection.projector.status().views}["aliases"].stands_before != 80:
                    await projection.projector.wait_for(10**9, 0.01)
        async with projecting_kafka(kafka_settings, tmp_path / "views.db") as projection:
            await projection.reached(topic.end)
            digests = await projection.projector.digests()
    assert digests == await folded_alone(history, tmp_path / "alone.db")


async def test_a_rebuild_during_500_writes_a_second_flips_without_an_error_or_a_backward_read(
    kafka_settings: KafkaSettings, places: Places
) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(1800):
        history.register("fraud", seed)
    finished = asyncio.Event()

    async def write(topic: TopicWriter) -> float:
        """500 events a second: ten transactions of fifty. How many it were indeed."""
        begin, rest = monotonic(), history.sets[301:]
        for sent in range(0, len(rest), 50):
            await asyncio.sleep(max(0.0, begin + sent / 500 - monotonic()))
            await topic.published(*rest[sent : sent + 50])
        finished.set()
        return len(rest) / (monotonic() - begin)

    async def read(projection: KafkaProjection) -> list[tuple[int, int]]:
        """The positions answered for, each with how many versions there were."""
        seen = []
        while not finished.is_set():
            answer = await projection.client.get("/v1/models/fraud")
            assert answer.status_code == 200, answer.text
            seen.append((int(answer.headers["Regista-Position"]), answer.json()["versions"]))
        return seen

    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets[:301])
        async with projecting_kafka(kafka_settings, places()) as projection:
            await projection.reached(topic.end)
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(write(topic))
                reading = group.create_task(read(projection))
                compared = await projection.projector.rebuild()
                assert not writing.done(), "the rebuild took longer than the writes"
                assert all(view.equal for view in compared)
            seen = reading.result()
            # A machine that is busy with other things writes and reads less; much less would show little.
            assert writing.result() > 150
            assert len({versions for _, versions in seen}) > 2
            assert all(a <= b and m <= n for (a, m), (b, n) in pairwise(seen))
            await projection.reached(topic.end)
            assert {entry.generation for entry in projection.entries()} == {2}
            digests = await projection.projector.digests()
    assert digests == await folded_alone(history, places("alone"))


async def test_what_one_process_projects_is_visible_in_another_within_moments(
    kafka_settings: KafkaSettings, places: Places
) -> None:
    history = random_history()
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets[:50])
        with Child(places(), kafka_settings) as child:
            assert (await child.said())["leading"]
            async with following(places()) as follower:
                assert await follower.wait_for(topic.end, PATIENCE)
                took = []
                for rows in history.sets[50:]:
                    began = monotonic()
                    await topic.published(rows)
                    assert await follower.wait_for(topic.end, PATIENCE)
                    took.append(monotonic() - began)
                assert sorted(took)[len(took) // 2] < 0.2
                assert all(view.equal for view in await follower.rebuild())
                digests = await follower.digests()
    assert digests == await folded_alone(history, places("alone"))


async def test_a_topic_with_events_of_another_log_is_not_folded(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    history = random_history(20)
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets[:10])
        async with projecting_kafka(kafka_settings, tmp_path / "views.db") as projection:
            await projection.reached(topic.end)
            topic.log_id = "log-2"
            await topic.published(*history.sets[10:])
            async with asyncio.timeout(PATIENCE):
                while "log-2" not in str(projection.projector.status().error):
                    await projection.projector.wait_for(10**9, 0.01)
            assert {view.position for view in projection.projector.status().views} == {history.sets[9][-1].position}


async def test_behind_a_missing_event_nothing_is_folded_ever(kafka_settings: KafkaSettings, places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(10):
        history.register("fraud", seed)
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets[:3])
        async with projecting_kafka(kafka_settings, places()) as projection:
            await projection.reached(topic.end)
        topic.publish(*history.sets[3:5], *history.sets[6:])
        for _ in range(2):
            async with projecting_kafka(kafka_settings, places()) as projection:
                async with asyncio.timeout(PATIENCE):
                    while "are missing" not in str(projection.projector.status().error):
                        await projection.projector.wait_for(10**9, 0.01)
                assert {view.position for view in projection.projector.status().views} == {5}


async def test_a_rebuild_that_cannot_apply_an_event_leaves_the_live_views_alone(
    kafka_settings: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BACK_OFF", 0.05)
    history = random_history()
    with TopicWriter(kafka_settings) as topic:
        topic.publish(*history.sets)
        async with projecting_kafka(kafka_settings, tmp_path / "views.db") as projection:
            await projection.reached(topic.end)
            before = await projection.projector.digests()
        async with projecting_kafka(kafka_settings, tmp_path / "views.db", broken_at(30)) as projection:
            await projection.reached(topic.end)
            with pytest.raises(Damaged) as caught:
                await projection.projector.rebuild()
            assert caught.value.code == "rebuild_failed"
            assert await projection.projector.digests() == before
