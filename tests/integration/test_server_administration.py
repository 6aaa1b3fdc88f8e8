"""Status, readiness, metrics, and the administration of a running registry."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.payloads import version_body
from tests.support.server import app_client, client_of, running_server

from regista import server
from regista.server import Application
from regista.settings import Settings

NDJSON = "application/x-ndjson"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(tmp_path / "data") as client:
        yield client


async def fill(client: httpx.AsyncClient, versions: int = 3) -> int:
    """A model with versions; the last position."""
    answer = await client.post("/v1/models", json={"name": "fraud"})
    for seed in range(versions):
        answer = await client.post("/v1/models/fraud/versions", json=version_body(seed=seed))
        assert answer.status_code == 201, answer.text
    return int(answer.json()["position"])


async def settled(client: httpx.AsyncClient, position: int) -> None:
    """Wait until the views show a position."""
    assert (await client.get("/v1/models", params={"min_position": position})).status_code == 200


async def test_status_says_how_far_log_and_views_are(client: httpx.AsyncClient) -> None:
    position = await fill(client)
    await settled(client, position)

    status = (await client.get("/v1/status")).json()

    assert status["log_position"] == position
    assert status["head"]["count"] == position
    assert status["writes"] == "ok"
    assert {view["name"] for view in status["views"]} >= {"models", "versions", "events"}
    assert {(view["position"], view["lag"], view["state"]) for view in status["views"]} == {(position, 0, "live")}


async def test_a_new_registry_answers_from_its_first_request_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "VIEWS_WITHIN", 0.001)  # which is over long before the disk has made the views
    async with Application(Settings(data=tmp_path)) as running, client_of(running) as client:
        assert (await client.get("/v1/models/fraud")).status_code == 404


async def test_ready_means_that_writes_and_fresh_reads_work(client: httpx.AsyncClient) -> None:
    await fill(client)

    assert (await client.get("/readyz")).json() == {"status": "ready"}
    assert (await client.get("/healthz")).json() == {"status": "alive"}


async def test_a_log_that_others_have_locked_is_not_ready(client: httpx.AsyncClient, tmp_path: Path) -> None:
    locker = sqlite3.connect(tmp_path / "data" / "log.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    try:
        response = await client.get("/readyz")
    finally:
        locker.execute("ROLLBACK")
        locker.close()

    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert [(reason["field"], reason["code"]) for reason in response.json()["reasons"]] == [("writes", "log_locked")]
    assert "retry-after" in response.headers


async def test_metrics_count_what_was_done(client: httpx.AsyncClient) -> None:
    await fill(client, versions=2)
    await client.get("/v1/nothing")

    text = (await client.get("/metrics")).text

    assert 'regista_writes_total{command="register_version",outcome="done"} 2.0' in text
    assert 'regista_http_requests_total{method="POST",route="/v1/models/{model}/versions",status="201"} 2.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text
    assert "regista_log_position 4.0" in text
    assert re.search(r'regista_view_lag\{view="versions"\} \d', text)
    assert "regista_commit_commands_count 3.0" in text
    assert "regista_stream_readers 0.0" in text


async def test_verify_finds_a_sound_log_sound(client: httpx.AsyncClient) -> None:
    await fill(client)
    first = (await client.post("/v1/admin/verify")).json()
    assert (first["ok"], first["problems"]) == (True, [])

    await client.post("/v1/models", json={"name": "churn"})
    head = f"{first['head']['position']}:{first['head']['digest']}"
    again = (await client.post("/v1/admin/verify", params={"head": head})).json()

    assert (again["ok"], again["proven"]) == (True, "log")


async def test_verify_names_an_edited_event(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await fill(client)
    log = sqlite3.connect(tmp_path / "data" / "log.db")
    log.execute("UPDATE events SET state = CAST(replace(state, 'ann', 'bob') AS BLOB) WHERE position = 3")
    log.commit()
    log.close()

    found = (await client.post("/v1/admin/verify")).json()

    assert not found["ok"]
    assert 3 in {problem["position"] for problem in found["problems"]}


async def stand_still(client: httpx.AsyncClient, data: Path) -> int:
    """Take the table of aliases away, so that an alias cannot be applied; its position."""
    await settled(client, await fill(client))
    views = sqlite3.connect(data / "views.db", isolation_level=None)
    views.execute("ALTER TABLE aliases_v1_g1 RENAME TO elsewhere")
    answer = await client.put("/v1/models/fraud/aliases/champion", json={"version": "1", "reason": "best"})
    position = int(answer.json()["position"])
    while (await aliases_view(client))["error"] is None:
        await client.get("/v1/models", params={"min_position": position})
    views.execute("ALTER TABLE elsewhere RENAME TO aliases_v1_g1")
    views.close()
    return position


async def aliases_view(client: httpx.AsyncClient) -> dict[str, Any]:
    views = (await client.get("/v1/status")).json()["views"]
    return next(view for view in views if view["name"] == "aliases")


async def test_a_view_that_stands_still_says_what_to_do_and_goes_on_after_it(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    position = await stand_still(client, tmp_path / "data")
    degraded = await aliases_view(client)
    assert degraded["state"] == "degraded"
    assert f"regista skip {position} --view aliases" in degraded["hint"]

    body = {"position": position, "reason": "its table was damaged"}
    skipped = await client.post("/v1/admin/skip", json=body, headers={"Regista-Actor": "ann"})

    assert skipped.status_code == 200, skipped.text
    assert (skipped.json()["views"], skipped.json()["actor"]) == (["aliases"], "ann")
    await settled(client, position)
    [recorded] = (await client.get("/v1/status")).json()["components"]["projector"]["skips"]
    assert (recorded["position"], recorded["reason"]) == (position, "its table was damaged")
    healthy = await aliases_view(client)
    assert (healthy["state"], healthy["error"], healthy["hint"]) == ("live", None, None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"position": 2, "reason": "a slip"}, 409, "nothing_to_skip"),
        ({"position": 99, "reason": "a slip"}, 404, "unknown_position"),
        ({"position": 2, "reason": "a slip", "view": "alias"}, 404, "unknown_view"),
        ({"position": 2, "reason": ""}, 422, None),
        ({"position": 2}, 422, None),
    ],
)
async def test_what_nobody_stands_before_is_not_skipped(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str | None
) -> None:
    await fill(client)
    answer = await client.post("/v1/admin/skip", json=body)
    assert answer.status_code == status, answer.text
    assert code is None or answer.json()["code"] == code


async def test_a_malformed_head_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/admin/verify", params={"head": "newest"})).status_code == 400


async def test_progress_comes_in_lines_and_the_result_last(client: httpx.AsyncClient) -> None:
    await fill(client)

    response = await client.post("/v1/admin/verify", headers={"Accept": NDJSON})
    lines = [json.loads(line) for line in response.text.splitlines()]

    assert response.headers["content-type"] == NDJSON
    assert all(set(line) == {"progress"} for line in lines[:-1])
    assert lines[-1]["result"]["ok"] is True


async def test_a_failure_on_the_way_is_a_problem_in_the_last_line(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/admin/verify", params={"head": "x"}, headers={"Accept": NDJSON})

    assert json.loads(response.text.splitlines()[-1])["problem"]["status"] == 400


async def test_a_rebuild_gives_equal_digests(client: httpx.AsyncClient) -> None:
    await settled(client, await fill(client))
    before = (await client.get("/v1/admin/digests")).json()

    rebuilt = (await client.post("/v1/admin/rebuild")).json()

    assert rebuilt["equal"] is True
    assert rebuilt["digests"] == rebuilt["previous"] == before["digests"]
    assert (await client.get("/v1/admin/digests")).json() == before


async def test_an_import_into_an_empty_registry_is_the_same_registry(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await settled(client, await fill(client))
    exported = (await client.get("/v1/admin/export")).content
    digests = (await client.get("/v1/admin/digests")).json()
    status = (await client.get("/v1/status")).json()

    async with app_client(tmp_path / "other") as other:
        assert (await other.get("/v1/models/fraud")).status_code == 404
        imported = await other.post("/v1/admin/import", content=exported, headers={"Content-Type": NDJSON})
        assert imported.status_code == 200, imported.text
        assert imported.json()["log_id"] == status["log_id"]

        assert (await other.get("/v1/admin/export")).content == exported
        assert (await other.get("/v1/admin/digests")).json() == digests
        assert (await other.get("/v1/status")).json()["head"] == status["head"]
        assert (await other.post("/v1/models/fraud/versions", json=version_body(seed=9))).status_code == 201


async def test_a_copy_is_a_log_of_its_own(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await fill(client)
    exported = (await client.get("/v1/admin/export")).content
    source = (await client.get("/v1/status")).json()

    async with app_client(tmp_path / "other") as other:
        params = {"copy": "true", "reason": "a sandbox"}
        imported = await other.post(
            "/v1/admin/import", content=exported, params=params, headers={"Content-Type": NDJSON}
        )

        assert imported.json()["log_id"] != source["log_id"]
        assert imported.json()["position"] == source["log_position"] + 1
        newest = (await other.get("/v1/events", params={"after": source["log_position"]})).json()["items"]
        assert [(event["type"], event["actor"], event["reason"]) for event in newest] == [
            ("regista.log.imported.v1", "tester", "a sandbox")
        ]


async def test_a_registry_that_publishes_its_log_takes_no_other(tmp_path: Path) -> None:
    async with app_client(tmp_path / "data", kafka="127.0.0.1:9") as client:
        answer = await client.post("/v1/admin/import", content=b"whatever")
        assert (answer.status_code, answer.json()["code"]) == (409, "log_published")


async def test_an_import_never_overwrites(client: httpx.AsyncClient) -> None:
    position = await fill(client)
    exported = (await client.get("/v1/admin/export")).content

    response = await client.post("/v1/admin/import", content=exported, headers={"Content-Type": NDJSON})

    assert (response.status_code, response.json()["code"]) == (409, "registry_not_empty")
    assert (await client.get("/v1/status")).json()["log_position"] == position


@pytest.mark.parametrize("damage", ["cut", "edited", "other"])
async def test_a_damaged_export_changes_nothing(client: httpx.AsyncClient, tmp_path: Path, damage: str) -> None:
    await fill(client)
    lines = (await client.get("/v1/admin/export")).text.splitlines(keepends=True)
    if damage == "cut":
        lines.pop()
    elif damage == "edited":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines = ["hello\n"]

    async with app_client(tmp_path / "other") as other:
        response = await other.post("/v1/admin/import", content="".join(lines), headers={"Content-Type": NDJSON})

        assert response.status_code == 422
        assert (await other.get("/v1/status")).json()["log_position"] == 1


async def test_a_line_that_no_event_fills_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/admin/import", content=b"x" * 2**22, headers={"Content-Type": NDJSON})

    assert (response.status_code, response.json()["code"]) == (422, "export_damaged")
    assert "longer than an event" in response.json()["detail"]


def test_what_an_import_spools_is_gone_afterwards(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server, server.client() as client:
        client.post("/v1/admin/import", content=b"x" * 2**20, headers={"Content-Type": NDJSON})

        assert not list((tmp_path / "data").glob("import-*"))
