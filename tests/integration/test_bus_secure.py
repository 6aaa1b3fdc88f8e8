"""TLS, SASL and ACLs on a real broker: the rights that the plan names are enough for each role, and no more than that."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from aiokafka.errors import TopicAuthorizationFailedError, TransactionalIdAuthorizationFailed
from pydantic import SecretStr
from tests.support.chained_log import Writer
from tests.support.registrar import registrar_on
from tests.support.relaying import events_of, halted, on_kafka, published, relaying, running, until, write_record
from tests.support.secure_broker import SecureBroker
from tests.support.secure_roles import add_role, allow

from regista.bus import connection
from regista.bus.commands.intake import CommandIntake
from regista.bus.commands.publisher import CommandPublisher
from regista.bus.commands.remembered import answered_up_to, begin_results_anew, published_results
from regista.bus.commands.results import ResultsOutbox
from regista.bus.events.feed import KafkaFeed
from regista.bus.events.history import TopicHistory
from regista.bus.events.tail import CommittedTail
from regista.bus.relay.relay import Relay
from regista.bus.settings import KafkaSettings
from regista.bus.topics.administration import check_topics, create_topics
from regista.bus.topics.rights import Role
from regista.bus.topics.topology import Topics
from regista.domain.errors import Unavailable
from regista.projections.feed import START
from regista.store.sqlite import SQLiteLogStore

pytestmark = [pytest.mark.engine("kafka-native"), pytest.mark.engine("openssl")]
As = Callable[[Role], KafkaSettings]


@pytest.fixture
def as_role(secure_broker: SecureBroker, kafka_prefix: str) -> As:
    """Settings of a user who has the rights of a role as the plan names them, and no others."""
    return lambda role: add_role(secure_broker, kafka_prefix, role)


async def test_each_role_can_do_its_work_with_the_rights_of_the_plan(as_role: As, tmp_path: Path) -> None:
    admin, relay_user, api, subscriber = [
        await asyncio.to_thread(as_role, role) for role in ("admin", "relay", "api", "subscriber")
    ]
    assert len(await create_topics(admin)) == 6
    for settings in (admin, relay_user, api):
        assert await check_topics(settings) == []
    log = SQLiteLogStore(tmp_path)
    tail = CommittedTail(api)
    following = asyncio.create_task(tail.run())
    async with relaying(log, relay_user) as relay:
        position = Writer(log).write("a", "b") + 1
        await published(relay, position)
        assert await tail.wait_for(position, 30)
    await tail.close()
    await following
    assert [event.row for event in await on_kafka(subscriber)] == log.read(1, 10)
    log.close()


async def test_commands_their_results_views_and_a_heal_need_no_more_than_the_rights_of_the_plan(
    as_role: As, tmp_path: Path
) -> None:
    admin, relay_user, api, pipeline, projector, notifier = [
        await asyncio.to_thread(as_role, role)
        for role in ("admin", "relay", "api", "pipeline", "projector", "notifier")
    ]
    await create_topics(admin)
    log = SQLiteLogStore(tmp_path)
    one = registrar_on(log, tmp_path)
    results = Relay(ResultsOutbox(log, Topics(relay_user.kafka_prefix)), relay_user)
    intake = CommandIntake(api, one.registrar, log, alone=False, told=results.notify)
    feed, followed = KafkaFeed(projector), KafkaFeed(notifier)
    try:
        async with relaying(log, relay_user) as relay, running(results), taking_in(intake):
            async with CommandPublisher(pipeline, actor="ci") as commands:
                created = await commands.create_model("fraud")
            await published(relay, created.position)
            assert await feed.log_id() == log.log_id
            assert len((await feed.read(START, 10)).rows) == await feed.newest() == log.max_position()
            note = await published_results(api)
            assert (note and note.position) == log.max_outcome() == 1
            assert (await followed.read(START, 10)).rows == (await feed.read(START, 10)).rows
        assert await check_topics(projector) == await check_topics(notifier) == []
        history = await asyncio.to_thread(TopicHistory, admin)
        assert await asyncio.to_thread(lambda: list(history.rows())) == log.read(1, 10)
        assert [taken.offset for taken in (await answered_up_to(admin)).values()] == [1]
        await begin_results_anew(admin, log.log_id)
        anew = await published_results(admin)
        assert (anew and anew.position) == 0
    finally:
        await feed.close()
        await followed.close()
        await one.writer.close()
        log.close()


@asynccontextmanager
async def taking_in(intake: CommandIntake) -> AsyncIterator[None]:
    task = asyncio.create_task(intake.run())
    try:
        yield
    finally:
        await intake.close()
        await task


async def test_who_may_only_read_can_neither_publish_nor_relay(as_role: As, tmp_path: Path) -> None:
    admin, subscriber, api = [await asyncio.to_thread(as_role, role) for role in ("admin", "subscriber", "api")]
    await create_topics(admin)
    for settings in (subscriber, api):
        with pytest.raises((TopicAuthorizationFailedError, TransactionalIdAuthorizationFailed)):
            await write_record(settings, events_of(settings).topic, b"key", b"value")
    log = SQLiteLogStore(tmp_path)
    async with relaying(log, api) as relay:
        await until(lambda: relay.state().code == "kafka_forbidden", relay.state)
        assert relay.state().state == "waiting"
    async with relaying(log, subscriber) as relay:
        assert "may not describe" in str((await halted(relay)).error)
    log.close()


async def test_a_wrong_password_is_said_in_the_log_and_where_to_look(
    as_role: As, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await asyncio.to_thread(as_role, "api")
    with pytest.raises(Unavailable) as refused:
        await check_topics(settings.model_copy(update={"kafka_password": SecretStr("wrong")}))
    assert "user and password" in str(refused.value.hint)
    assert "invalid credentials" in caplog.text
    assert "password of api" not in caplog.text


async def test_a_client_is_known_by_its_certificate(secure_broker: SecureBroker, kafka_prefix: str) -> None:
    settings = await asyncio.to_thread(lambda: secure_broker.add_certificate("operator", prefix=kafka_prefix))
    await asyncio.to_thread(allow, secure_broker, settings, "admin", "CN=operator")
    assert len(await create_topics(settings)) == 6


async def test_a_client_is_known_by_the_token_of_its_provider(
    secure_broker: SecureBroker, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = EntryPoints([EntryPoint("unsigned", f"{__name__}:Unsigned", connection.TOKEN_PROVIDERS)])
    monkeypatch.setattr(connection, "entry_points", lambda group: points.select(group=group))
    settings = KafkaSettings(
        kafka=secure_broker.bootstrap,
        kafka_prefix=kafka_prefix,
        kafka_ca=secure_broker.ca,
        kafka_security="sasl_ssl",
        kafka_sasl="OAUTHBEARER",
        kafka_token_provider="unsigned",
    )
    await asyncio.to_thread(allow, secure_broker, settings, "admin", "bearer")
    assert len(await create_topics(settings)) == 6


class Unsigned:
    """Tokens of the user ``bearer``, which the test's broker takes without a signature."""

    def token(self) -> str:
        now = time.time()
        parts = [{"alg": "none"}, {"sub": "bearer", "iat": now, "exp": now + 3600}]
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return f"{'.'.join(encoded)}."
