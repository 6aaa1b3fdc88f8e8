"""``at=``: the answer of any past moment, held against a plain replay up to it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from tests.support.histories import START, History, wander
from tests.support.naive import replay
from tests.support.projecting import Projection

from regista.schemas.codec import decode


@pytest.fixture(scope="module")
def history() -> History:
    history = History()
    rng = random.Random(7)
    for _ in wander(history, rng, 200):
        # clocks of several registrars: now and then an event's time lies before that of its predecessor
        history.now += timedelta(seconds=rng.choice((-30, 0, 5, 40)))
    return history


async def test_models_versions_stages_and_aliases_at_random_positions(projection: Projection, history: History) -> None:
    rng = random.Random(1)
    get = projection.client.get
    for at in sorted(rng.sample(range(1, len(history.rows) + 1), 25)):
        models = replay(history.rows, at)
        for key in ("fraud", "churn"):
            response = await get(f"/v1/models/{key}", params={"at": at})
            if key not in models:
                assert (response.status_code, response.json()["code"]) == (404, "unknown_model")
                continue
            naive, model = models[key], response.json()
            assert (model["at"], model["sequence"], model["retired"]) == (at, naive.sequence, naive.retired)
            assert (model["description"], model["tags"]) == (naive.description, naive.tags)
            assert (model["versions"], model["aliases"]) == (len(naive.versions), naive.aliases())
            stages = {v.stage for v in naive.versions.values()}
            assert model["stages"] == {stage: naive.holders(stage) for stage in stages}
            for stage in ("production", "staging"):
                tenures = (await get(f"/v1/models/{key}/stages/{stage}", params={"at": at})).json()["items"]
                assert [t["version"] for t in tenures] == naive.holders(stage)
                held = await get(f"/v1/models/{key}/versions/@{stage}", params={"at": at})
                expected = naive.holders(stage)[:1]
                assert held.json().get("version") == (expected[0] if expected else None)
            for alias, version in naive.aliases().items():
                answer = await get(f"/v1/models/{key}/aliases/{alias}", params={"at": at})
                assert (answer.json()["version"], answer.json()["at"]) == (version, at)
            for number, expected_version in rng.sample(sorted(naive.versions.items()), min(4, len(naive.versions))):
                version_then = (await get(f"/v1/models/{key}/versions/{number}", params={"at": at})).json()
                assert version_then["stage"] == expected_version.stage
                assert (version_then["tags"], version_then["at"]) == (expected_version.tags, at)
                assert [
                    (e["dataset"], e["metrics"]) for e in version_then["evaluations"]
                ] == expected_version.evaluations
                assert {c["name"]: c["status"] for c in version_then["checks"]} == expected_version.checks
                assert version_then["aliases"] == sorted(expected_version.aliases)
                assert version_then["sequence"] == expected_version.sequence
        serving = (await get("/v1/production", params={"at": at})).json()["items"]
        expected_serving = {(m.name, v) for m in models.values() for v in m.holders("production")}
        assert {(line["model"], line["version"]) for line in serving} == expected_serving


async def test_a_time_stands_for_the_last_position_whose_running_maximum_is_not_later(
    projection: Projection, history: History
) -> None:
    times = [decode(row.value).record["meta"]["time"] for row in history.rows]
    rng = random.Random(2)
    for moment in [*rng.sample(times, 20), START, times[-1] + timedelta(days=1)]:
        at = 0
        running_maximum = times[0]
        for row, time in zip(history.rows, times, strict=True):
            running_maximum = max(running_maximum, time)
            if running_maximum <= moment:
                at = row.position
        response = await projection.client.get("/v1/models/fraud", params={"at": moment.isoformat()})
        if "fraud" in replay(history.rows, at):
            assert response.json()["at"] == at
        else:
            assert response.status_code == 404


async def test_now_and_the_last_position_are_the_same_but_for_the_mark(
    projection: Projection, history: History
) -> None:
    for path in ("/v1/models/fraud", "/v1/models/fraud/versions/1", "/v1/models/churn/versions/3"):
        now = (await projection.client.get(path)).json()
        then = (await projection.client.get(path, params={"at": len(history.rows)})).json()
        assert {**now, "at": len(history.rows)} == then


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/v1/models/late", "at"),
        ("/v1/production", "at"),
        ("/v1/events", "since"),
        ("/v1/events", "until"),
        ("/v1/diff?from=1", "to"),
        ("/v1/diff", "from"),
    ],
)
async def test_a_moment_that_a_write_has_just_answered_is_waited_for(
    growing: Projection, path: str, parameter: str
) -> None:
    [row] = History().register_model("late")
    position = growing.feed.end + 1
    growing.feed.append(type(row)(position, row.stream, row.sequence, row.type, row.value))
    joint = "&" if "?" in path else "?"
    response = await growing.client.get(f"{path}{joint}{parameter}={position}")
    assert response.status_code == 200, response.text
    assert int(response.headers["Regista-Position"]) >= position

    beyond = await growing.client.get(f"{path}{joint}{parameter}={position + 1}")
    assert (beyond.status_code, beyond.json()["code"]) == (400, "beyond_log")
    assert parameter in beyond.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=5&until=5", 200),
        ("since=5&until=4", 400),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 400),
        ("since=2030-01-01T00:00:00Z&until=2030-01-02T00:00:00Z", 200),
        ("since=5&until=2000-01-01T00:00:00Z", 400),
    ],
)
async def test_events_since_a_moment_after_their_end_are_refused(
    projection: Projection, query: str, status: int
) -> None:
    assert (await projection.client.get(f"/v1/events?{query}")).status_code == status


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("at=tomorrow", "bad_moment"),
        ("at=2026-01-01T00:00:00", "bad_moment"),
        ("at=-1", "bad_moment"),
        ("at=99999999", "beyond_log"),
        ("at=1&at=2", "bad_parameter"),
    ],
)
async def test_what_is_no_moment_is_refused(projection: Projection, query: str, code: str) -> None:
    response = await projection.client.get(f"/v1/models/fraud?{query}")
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    "path", ["models", "versions", "events", "compare", "lineage", "diff", "models/fraud/versions"]
)
async def test_where_there_is_no_history_at_is_refused(projection: Projection, path: str) -> None:
    response = await projection.client.get(f"/v1/{path}?at=1")
    assert (response.status_code, response.json()["code"]) == (400, "at_unsupported")


async def test_diff_names_what_changed_hands_between_two_moments(projection: Projection, history: History) -> None:
    start, end = 60, 170
    answer = (await projection.client.get("/v1/diff", params={"from": start, "to": end})).json()
    before, after = replay(history.rows, start), replay(history.rows, end)
    expected = {}
    for key, model in after.items():
        for stage in ("staging", "production"):
            change = (before[key].holders(stage) if key in before else [], model.holders(stage))
            if change[0] != change[1]:
                expected[model.name, "stage", stage] = change
        earlier = before[key].aliases() if key in before else {}
        for alias in {*earlier, *model.aliases()}:
            old, new = earlier.get(alias), model.aliases().get(alias)
            if old != new:
                expected[model.name, "alias", alias] = ([old] if old else [], [new] if new else [])
    assert {(c["model"], c["kind"], c["name"]): (c["before"], c["after"]) for c in answer["changes"]} == expected
    assert (answer["start"], answer["end"], answer["events"]) == (start, end, end - start)
