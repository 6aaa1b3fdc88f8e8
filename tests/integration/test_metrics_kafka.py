"""Live metrics over Kafka: what is published is counted once, whoever reads it, and what is no report is kept apart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from sqlalchemy import create_engine, text
from tests.support.experimenting import trial
from tests.support.inference import report
from tests.support.server import RunningServer
from tests.support.topic_writer import TopicWriter
from tests.support.working import ScriptedLog

from regista.bus.clients import reading
from regista.bus.connection import client_options
from regista.bus.metrics.publisher import ReportPublisher
from regista.bus.metrics.records import encode_report
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.domain import events as e
from regista.domain.errors import Unavailable
from regista.wire.inference import BusinessSum

pytestmark = pytest.mark.engine("kafka")
PATIENCE = 40.0


async def dead_letters(settings: KafkaSettings, number: int) -> list[dict[str, bytes]]:
    """The headers and values of so many dead letters."""
    topic = Topics(settings.kafka_prefix).dead_letters
    found: list[dict[str, bytes]] = []
    partitions = [TopicPartition(topic, partition) for partition in range(3)]
    async with reading(settings, "test", *partitions) as consumer:
        await consumer.seek_to_beginning(*partitions)
        until = time.monotonic() + PATIENCE
        while len(found) < number:
            assert time.monotonic() < until, found
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [{**dict(record.headers), "value": record.value} for record in records]
    return found


async def publish_bytes(settings: KafkaSettings, *values: bytes) -> None:
    producer = AIOKafkaProducer(**client_options(settings, "test"))
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(Topics(settings.kafka_prefix).metrics, value, key=b"prod/fraud")
    finally:
        await producer.stop()


async def test_what_is_reported_and_published_leads_to_a_verdict_and_is_counted_once(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    async with trial(tmp_path, kafka=kafka_settings.kafka, kafka_prefix=kafka_settings.kafka_prefix) as endpoint:
        await endpoint.furnish()
        change = await endpoint.begin()
        await endpoint.effective(change)
        good, bad = endpoint.report("1.0.0"), endpoint.report("1.1.0", 600, 300)
        answer = await endpoint.send(good)
        assert (answer.status_code, answer.json()) == (202, {"taken": 1, "via": "kafka"})
        old = replace(
            good, id="old", started_at=good.started_at - timedelta(days=2), ended_at=good.ended_at - timedelta(days=2)
        )
        wrong = encode_report(replace(good, id="wrong", errors=10_000))
        huge = encode_report(replace(good, id="huge", business={"revenue": BusinessSum(1, 1e200, 1e300)}))
        await publish_bytes(kafka_settings, b"no report", encode_report(old), wrong, huge, encode_report(good))
        publisher = ReportPublisher(kafka_settings)
        await publisher.publish([bad, bad, good])
        await publisher.close()
        [rolled_back] = await endpoint.until_event("rolled-back")
        assert "errors of 1.1.0: 50 % of 600 samples" in rolled_back.reason
        letters = await dead_letters(kafka_settings, 3)
        assert {letter["regista_code"] for letter in letters} == {b"undecodable_report", b"invalid_report"}
        assert {letter["value"] for letter in letters} == {b"no report", wrong, huge}
        assert all(letter["regista_source"].startswith(kafka_settings.kafka_prefix.encode()) for letter in letters)

        async def counted() -> bool:
            shown = (await endpoint.http.get("/v1/status")).json()["components"]["experiments"]["intake"]
            return bool(shown == {"taken": 5, "too_old": 1, "dead": 3})

        await endpoint.until_async(counted)
        variants = (await endpoint.metrics()).variants
        assert sum(window.requests for variant in variants for window in variant.windows) == 1_200


def deploying(settings: KafkaSettings, data: Path) -> RunningServer:
    given = {"kafka": settings.kafka, "kafka_prefix": settings.kafka_prefix, "url": "http://127.0.0.1:9"}
    return RunningServer(data, "deploy", ready=False, **given)


def await_count(counted: Callable[[], tuple[int, int]], wanted: int, process: RunningServer) -> None:
    until = time.monotonic() + PATIENCE
    while counted()[0] != wanted:
        assert time.monotonic() < until, process.errors
        time.sleep(0.02)


async def test_faust_counts_each_report_once_across_a_kill(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    log, made = ScriptedLog(), report("1.0.0", 100, 1)
    log.append("endpoint/prod/fraud", e.EndpointCreated("prod", "fraud", "fraud", (), None, False, (), ""))
    variant = e.Variant("1.0.0", 1, made.artifact_digest, "champion", 10_000, 0, None)
    log.append("endpoint/prod/fraud", e.TrafficChanged("prod", "fraud", "fraud", (variant,), None, (), None, None))
    now, publisher = datetime.now(UTC), ReportPublisher(kafka_settings)
    reports = [replace(made, id=str(i), started_at=now, ended_at=now) for i in range(50)]
    data = tmp_path / "data"

    def counted() -> tuple[int, int]:
        engine = create_engine(f"sqlite:///{data / 'work.db'}")
        try:
            with engine.connect() as connection:
                rows = [json.loads(row.totals) for row in connection.execute(text("SELECT totals FROM metrics_totals"))]
        finally:
            engine.dispose()
        return sum(row["requests"] for row in rows), sum(row["errors"] for row in rows)

    with TopicWriter(kafka_settings) as writer:
        writer.publish(*([row] for row in log.feed.rows))
        for some in (reports[:30], reports[20:]):
            await publisher.publish(some)
            process = deploying(kafka_settings, data)
            try:
                await_count(counted, 100 * (int(some[-1].id) + 1), process)
                process.kill()
            finally:
                process.close()
    await publisher.close()
    assert counted() == (5_000, 50)


async def test_without_kafka_nothing_is_accepted_and_the_answer_says_so() -> None:
    nowhere = KafkaSettings.model_validate({"kafka": "127.0.0.1:9"})
    publisher = ReportPublisher(nowhere, within=2.0)
    with pytest.raises(Unavailable) as caught:
        await publisher.publish([report()])
    assert caught.value.code == "not_published"
    await publisher.close()
