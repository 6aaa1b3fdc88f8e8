"""Models and versions over the query API: references, the hot path, and lists beside what they list."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

from tests.support.histories import History, digest
from tests.support.projecting import Places, Projection, memory_feed, running
from tests.support.querying import get

from regista.domain import commands as c
from regista.projections.api.models import SHOWN_PER_STAGE
from regista.projections.api.queries import Queries
from regista.projections.sqlite.reader import SQLiteReader


async def test_a_version_is_found_by_every_form_of_reference(places: Places) -> None:
    history = History()
    history.register_model("Fraud")
    number = history.register("Fraud", 1)
    history.register("Fraud", 2)
    history.do(c.Promote("Fraud", number, "staging"))
    history.do(c.Promote("Fraud", number, "production"))
    history.do(c.AssignAlias("Fraud", "Champion", number))
    async with running(memory_feed(history.sets), places()) as projection:
        forms = ("1.0.0", "v1.0.0", "1", "@champion", "@Champion", "@production", "stage:production")
        for ref in (*forms, digest("Fraud-1"), digest("file-Fraud-1")):
            for model in ("fraud", "FRAUD"):
                assert (await get(projection, f"/v1/models/{model}/versions/{ref}"))["version"] == "1.0.0"


async def test_a_digest_of_several_versions_is_refused_with_their_list(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    history.register("fraud", 1)
    history.register("fraud", 1)
    async with running(memory_feed(history.sets), places()) as projection:
        response = await projection.client.get(f"/v1/models/fraud/versions/{digest('fraud-1')}")
    assert (response.status_code, response.json()["code"]) == (409, "ambiguous_reference")
    assert len(response.json()["reasons"]) == 2


async def test_of_many_versions_with_one_digest_the_newest_are_named(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for _ in range(25):
        history.register("fraud", 1)
    async with running(memory_feed(history.sets), places()) as projection:
        body = (await projection.client.get(f"/v1/models/fraud/versions/{digest('fraud-1')}")).json()
        newest = (await get(projection, "/v1/models/fraud"))["latest_version"]
    assert len(body["reasons"]) == 20
    assert f": {newest}, " in body["detail"]
    assert body["detail"].endswith("and more")


async def test_latest_is_refused_with_the_highest_number(projection: Projection) -> None:
    highest = (await get(projection, "/v1/models/fraud"))["latest_version"]
    response = await projection.client.get("/v1/models/fraud/versions/latest")
    assert highest in response.json()["hint"]


async def test_the_hot_path_answers_from_one_moment(tmp_path: Path) -> None:
    history = History()
    history.register_model("fraud")
    number = history.register("fraud", 1)
    history.do(c.RecordEvaluation("fraud", number, {"auc": 0.9}))
    for stage in ("staging", "production"):
        history.do(c.Promote("fraud", number, stage))
    async with running(memory_feed(history.sets), tmp_path / "views.db") as projection:
        before = await get(projection, "/v1/models/fraud/versions/1.0.0")
        queries = Queries(projection.database, projection.projector, lambda: 0)
        rival = sqlite3.connect(tmp_path / "views.db", isolation_level=None)

        def interfere(statement: str) -> None:
            if statement.startswith("SELECT dataset, slice"):
                rival.execute("DELETE FROM evaluations_v1_g1")

        assert isinstance(queries._reader, SQLiteReader)
        queries._reader._connection.set_trace_callback(interfere)
        found = await queries.holder("fraud", "production")
        rival.close()
        queries.close()
    assert found is not None
    assert json.loads(found[0])["evaluations"] == before["evaluations"]


async def test_the_hot_path_shows_every_change_at_once(places: Places) -> None:
    history = History()
    history.register_model("fraud")
    for seed in range(3):
        history.register("fraud", seed)
    path = "/v1/models/fraud/versions/@production"
    async with running(memory_feed(history.sets), places()) as projection:
        assert (await projection.client.get(path)).status_code == 404
        for number in ("1.0.0", "1.1.0", "1.2.0"):
            for stage in ("staging", "production"):
                await projection.append([history.do(c.Promote("fraud", number, stage))])
            answer = await projection.client.get(path)
            assert answer.json()["version"] == number
            assert answer.headers["Regista-Position"] == str(projection.feed.end)
            again = await projection.client.get(path)
            assert (again.content, again.headers) == (answer.content, answer.headers)
            await projection.append([history.do(c.RecordEvaluation("fraud", number, {"auc": 0.5}))])
            assert (await get(projection, path))["evaluations"][-1]["metrics"] == {"auc": 0.5}


async def test_the_list_shows_every_model_as_it_is_shown_alone(places: Places) -> None:
    history = History()
    for model in ("empty", "small", "large"):
        history.register_model(model)
    for model, versions in (("small", 3), ("large", SHOWN_PER_STAGE + 1)):
        for seed in range(versions):
            history.register(model, seed)
        for version in ("1", "2"):
            history.do(c.Promote(model, version, "staging"))
            history.do(c.AssignAlias(model, f"a{version}", version))
    async with running(memory_feed(history.sets), places()) as projection:
        listed = (await get(projection, "/v1/models"))["items"]
        alone = [await get(projection, f"/v1/models/{model}") for model in ("empty", "large", "small")]
    assert listed == alone
    assert len(alone[1]["stages"]["candidate"]) == SHOWN_PER_STAGE - 1


async def test_many_readers_at_once_while_the_log_grows_see_whole_snapshots(places: Places) -> None:
    history = History()
    history.register_model("fraud")

    async with running(memory_feed(history.sets), places()) as projection:

        async def look() -> None:
            for _ in range(20):
                model = await get(projection, "/v1/models/fraud")
                assert sum(len(v) for v in model["stages"].values()) == model["versions"]

        async def grow() -> None:
            for seed in range(40):
                history.register("fraud", seed)
                await projection.append(history.sets[-1:])

        await asyncio.gather(grow(), *(look() for _ in range(8)))
