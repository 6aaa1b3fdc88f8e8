"""What is particular to views in PostgreSQL: servers that go away, flips under readers, and texts it cannot hold."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.postgres import MakePostgres
from tests.support.histories import History, wander
from tests.support.projecting import PATIENCE, administer, memory_feed, running
from tests.support.tcp_proxy import TcpProxy

from regista.domain import commands as c
from regista.domain.errors import Unavailable
from regista.projections.api.versions import versions_of
from regista.projections.postgres import PostgresViewsDatabase
from regista.projections.postgres import database as writing
from regista.projections.postgres.reader import PostgresReader
from regista.projections.reader import Reader

pytestmark = pytest.mark.engine("postgres")
SECRET = "s3cret-p4ssw0rd"


def some_history(steps: int = 60) -> History:
    history = History()
    for _ in wander(history, random.Random(4), steps):
        pass
    return history


@pytest.fixture
def reader(postgres_database: str) -> Iterator[Reader]:
    reader = PostgresReader(postgres_database)
    yield reader
    reader.close()


@pytest.mark.engine("postgres-native")
async def test_a_server_that_comes_back_is_used_again_by_the_projector_and_by_queries(
    own_postgres: MakePostgres,
) -> None:
    history = some_history()
    early, late = history.sets[:30], history.sets[30:]
    server = own_postgres()
    async with running(memory_feed(early), server.url) as projection:
        assert (await projection.client.get("/v1/models/fraud")).status_code == 200
        server.kill()
        away = await projection.client.get("/v1/models/fraud")
        assert (away.status_code, away.json()["code"]) == (503, "views_unreadable")
        for rows in late:
            projection.feed.append(*rows)
        async with asyncio.timeout(PATIENCE):
            while projection.projector.status().error is None:
                await projection.projector.wait_for(projection.feed.end, 0.05)
        server.start()
        await projection.caught_up()
        back = await projection.client.get("/v1/models/fraud")
        assert back.status_code == 200, back.text
        compared = await projection.projector.rebuild()
        assert all(comparison.equal for comparison in compared)


async def test_an_answer_after_its_connection_was_ended_is_given_over_a_new_one(postgres_database: str) -> None:
    async with running(memory_feed(some_history().sets), postgres_database) as projection:
        paths = ("/v1/models/fraud", "/v1/models/fraud/versions/1", "/v1/events", "/v1/models")
        before = [(await projection.client.get(path)).json() for path in paths]
        administer(
            postgres_database,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert [(await projection.client.get(path)).json() for path in paths] == before


async def test_a_server_that_does_not_answer_does_not_hold_up_the_event_loop(postgres_database: str) -> None:
    target = psycopg.conninfo.conninfo_to_dict(postgres_database)
    with TcpProxy(str(target["host"]), int(str(target["port"]))) as proxy:
        url = psycopg.conninfo.make_conninfo(postgres_database, host="127.0.0.1", port=proxy.port)
        async with running(memory_feed(some_history().sets), url) as projection:
            path = "/v1/models/fraud/versions/@production"
            assert (await projection.client.get(path)).status_code == 200
            proxy.freeze()
            asked = [asyncio.create_task(projection.client.get(p)) for p in (path, "/v1/models", "/v1/models/fraud")]
            longest, before = 0.0, time.monotonic()
            for _ in range(50):
                await asyncio.sleep(0.01)
                now = time.monotonic()
                longest, before = max(longest, now - before), now
            assert not any(task.done() for task in asked)
            assert longest < 1
            proxy.thaw()
            assert [(await task).status_code for task in asked] == [200, 200, 200]


async def test_an_answer_that_began_before_a_flip_is_of_the_views_before_it(
    postgres_database: str, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = some_history()
    async with running(memory_feed(history.sets), postgres_database) as projection:
        with reader.snapshot():
            position = reader.positions()["versions"]
            await projection.projector.rebuild()
            history.register("fraud", 12345)
            await projection.append(history.sets[-1:])
            known = reader.rows("SELECT count(*) FROM versions_v1")
            assert reader.positions()["versions"] == position
            assert reader.rows("SELECT max(position) FROM events_v1") == [(position,)]
        assert reader.rows("SELECT count(*) FROM versions_v1") == [(known[0][0] + 1,)]
        monkeypatch.setattr(writing, "GRACE_SECONDS", 0.0)
        monkeypatch.setattr(writing, "_SWEEP_SECONDS", 0.0)
        history.register("fraud", 12346)
        await projection.append(history.sets[-1:])
        history.register("fraud", 12347)
        await projection.append(history.sets[-1:])
    tables = reader.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'regista_views'")
    assert {name.rpartition("_")[2] for (name,) in tables if "_v1_" in name} == {"g2"}


@pytest.mark.parametrize(
    "query", ["events?actor=a%00b", "versions?filter=author%20=%20'%00'", "versions?filter=tags.%60%00%60%20=%20'%00'"]
)
async def test_what_no_text_can_hold_is_not_found(postgres_database: str, query: str) -> None:
    async with running(memory_feed(some_history(10).sets), postgres_database) as projection:
        response = await projection.client.get(f"/v1/{query}")
    assert (response.status_code, response.json()) == (200, {"items": [], "next": None})


async def test_what_is_skipped_outlives_the_views_and_their_format(postgres_database: str) -> None:
    history = some_history()
    async with running(memory_feed(history.sets), postgres_database) as projection:
        [skip] = await projection.projector.skip(8, "a defect of this release", "aliases", actor="ann")
    administer(postgres_database, "UPDATE about SET value = 'another' WHERE name = 'format'")
    async with running(memory_feed(history.sets), postgres_database) as projection:
        assert projection.database.recorded_skips() == (skip,)
        assert (await projection.client.get("/v1/models/fraud")).status_code == 200


async def test_a_commit_is_heard_at_once(postgres_database: str) -> None:
    history = some_history()
    async with running(memory_feed(history.sets[:40]), postgres_database) as projection:
        watcher = PostgresViewsDatabase(postgres_database).watch()
        assert await watcher.changed(PATIENCE, eager=True)
        assert not await watcher.changed(0.05, eager=True)
        waiting = asyncio.create_task(watcher.changed(PATIENCE, eager=True))
        before = asyncio.get_running_loop().time()
        await projection.append(history.sets[40:41])
        assert await waiting
        assert asyncio.get_running_loop().time() - before < PATIENCE / 2
        administer(
            postgres_database,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'SET%LISTEN%'",
        )
        assert await watcher.changed(PATIENCE, eager=True)
        assert await watcher.changed(PATIENCE, eager=True)
        watcher.close()


async def test_a_query_that_takes_too_long_is_given_up_by_the_server(postgres_database: str, reader: Reader) -> None:
    async with running(memory_feed(some_history().sets), postgres_database):
        with pytest.raises(Unavailable) as slow, reader.deadline(0.05), reader.snapshot():
            reader.rows("SELECT pg_sleep(20)")
        assert slow.value.code == "query_too_slow"
        assert reader.rows("SELECT pg_sleep(0.1) IS NULL") == [(False,)]


async def test_every_text_is_in_the_order_of_its_bytes(postgres_database: str, reader: Reader) -> None:
    async with running(memory_feed(some_history().sets), postgres_database):
        found = reader.rows(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'regista_views' AND data_type = 'text'"
        )
    assert found
    assert [row for row in found if row[2] != "C"] == []


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}@127.0.0.1:1/views",
        f"postgresql://ann:{SECRET}@127.0.0.1:not-a-port/views",
        f"host=127.0.0.1 port=1 password={SECRET} nonsense",
    ],
)
def test_no_error_tells_the_password(url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        PostgresViewsDatabase(url).entries()
    error: BaseException | None = caught.value
    assert caught.value.code == "views_unreadable"
    while error is not None:
        assert SECRET not in f"{error!s} {error!r} {getattr(error, 'hint', '')}"
        error = error.__cause__


async def test_a_page_of_versions_equals_that_of_sqlite_for_every_filter(
    postgres_database: str, tmp_path: Path
) -> None:
    history = History()
    for name in ("fraud", "churn", "Zeta", "a_b", "a.b"):
        history.register_model(name)
        for seed in range(4):
            history.register(
                name, seed, params={"n": seed, "x": 0.1 + seed / 3, "b": seed % 2 == 0, "s": f"50%_{seed}"}
            )
    history.do(c.AssignAlias("fraud", "champion", "1"))
    filters = (
        "params.n = 1",
        "params.n >= 1 AND params.n < 3",
        "params.n IN (0, 2.0)",
        "params.x > 0.43333",
        "params.x = 0.1",
        f"params.x = {0.1 + 1 / 3!r}",
        f"params.x != {0.1 + 1 / 3!r}",
        "params.b = TRUE",
        "params.b != TRUE",
        "params.b IN (TRUE, FALSE)",
        "params.s LIKE '50\\%\\_%'",
        "params.s LIKE '50_%'",
        "params.s ILIKE '50%'",
        "params.s LIKE '%\\'",
        "params.s > '50%_1'",
        "params.missing != 1",
        "params.n = 'text'",
        "metrics.`log loss` = 0.31",
        "tags.team = 'risk' AND metrics.auc > 0.8",
        "tags.team IN ('risk', 'none')",
        "name LIKE 'a_b'",
        "name LIKE 'A%'",
        "name ILIKE 'Z%'",
        "name != 'fraud'",
        "author < 'b'",
        "version > '1.0.0'",
        "version LIKE '1.%'",
        "alias = 'Champion'",
        "stage = 'candidate' AND format = 'safetensors'",
        "created_at > '2026-01-01T00:00:10Z'",
    )
    found = []
    for place in (postgres_database, tmp_path / "views.db"):
        async with running(memory_feed(history.sets), place) as projection:
            answers = [await projection.client.get("/v1/versions", params={"filter": f}) for f in filters]
            assert [answer.status_code for answer in answers] == [200] * len(filters)
            found.append({f: answer.json() for f, answer in zip(filters, answers, strict=True)})
            reader = projection.database.reader()
            assert versions_of(reader, {"model": "fraud", "filter": filters[0]}).body
            reader.close()
    assert found[0] == found[1]
    assert sum(bool(answer["items"]) for answer in found[0].values()) > len(filters) * 0.8
