"""Subscriptions over HTTP: what each write answers, and where the secrets go."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.server import app_client

from regista.store.private import PrivateTable
from regista.store.sqlite.private import PRIVATE_FILE, SQLitePrivateTable

URL = "https://hooks.slack.com/services/T00/B00/s3cr3t-path?token=s3cr3t"
GIVEN = "whsec_" + b64encode(b"g" * 24).decode()
WHY = {"reason": "because"}
ALL = "/v1/subscriptions"
RISK = f"{ALL}/risk"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(tmp_path) as client:
        yield client


@pytest.fixture
def table(tmp_path: Path) -> PrivateTable:
    return SQLitePrivateTable(tmp_path / PRIVATE_FILE)


def kept(table: PrivateTable) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for entry in table.entries():
        found.setdefault(entry.name, []).append(table.get(entry.id))
    return found


async def create(client: httpx.AsyncClient, key: str = "k", **more: Any) -> httpx.Response:
    return await client.post(ALL, json={"url": URL, **more}, headers={"Idempotency-Key": key})


async def test_a_secret_is_made_and_answered_once(client: httpx.AsyncClient, table: PrivateTable) -> None:
    first = (await create(client)).json()
    again = await create(client)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", first["secret"])
    assert kept(table) == {"signing": [first["secret"]], "url": [URL]}
    assert (again.status_code, again.json()) == (
        200,
        {**{name: value for name, value in first.items() if name != "secret"}, "replayed": True},
    )
    assert first["url"] == "https://hooks.slack.com"
    assert [secret["name"] for secret in first["secrets"]] == ["signing", "url"]
    assert first["stream"] == f"subscription/{first['subscription']}"
    told = (await client.get(f"/v1/events?min_position={first['position']}")).text
    assert "subscription.created" in told
    assert not re.search(r"s3cr3t|whsec_", told + again.text)


async def test_another_subscription_has_another_id(client: httpx.AsyncClient) -> None:
    ids = [(await create(client, key)).json()["subscription"] for key in ("a", "b")]
    ids += [(await client.post(ALL, json={"url": URL})).json()["subscription"] for _ in range(2)]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("change", [{"url": URL + "x"}, {"secret": GIVEN}, {"types": ["version.promoted"]}], ids=str)
async def test_a_key_is_for_one_subscription(client: httpx.AsyncClient, change: dict[str, Any]) -> None:
    await create(client)
    other = await create(client, **change)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_secret_of_ones_own_is_not_answered(client: httpx.AsyncClient, table: PrivateTable) -> None:
    answer = await create(client, id="risk", secret=GIVEN)
    assert (answer.status_code, "secret" in answer.json()) == (201, False)
    assert kept(table) == {"signing": [GIVEN], "url": [URL]}


async def test_a_rotation_keeps_the_secret_before_for_a_while(client: httpx.AsyncClient, table: PrivateTable) -> None:
    first = (await create(client, id="risk")).json()["secret"]
    answer = (await client.post(f"{RISK}/rotate", json={"keep_seconds": 60, **WHY})).json()
    assert kept(table)["signing"] == [first, answer["secret"]]
    new, before, url = answer["secrets"]
    assert (new["expires_at"], before["name"], url["name"]) == (None, "signing", "url")
    [event] = (await client.get(f"/v1/events?after={answer['position'] - 1}&min_position={answer['position']}")).json()[
        "items"
    ]
    until = datetime.fromisoformat(event["time"]) + timedelta(seconds=60)
    assert datetime.fromisoformat(before["expires_at"]) == until
    now = (await client.post(f"{RISK}/rotate", json={"keep_seconds": 0, "secret": GIVEN})).json()
    assert "secret" not in now
    assert kept(table)["signing"] == [GIVEN]
    same = await client.post(f"{RISK}/rotate", json={"secret": GIVEN})
    assert (same.status_code, same.json()["code"]) == (409, "same_secret")
    assert kept(table)["signing"] == [GIVEN]


async def test_a_subscription_is_changed_disabled_and_removed(client: httpx.AsyncClient, table: PrivateTable) -> None:
    await create(client, id="risk", models=["Fraud"])
    other = "https://other.example.org/hook"
    changed = (await client.patch(RISK, json={"url": other, "types": ["version.promoted"]})).json()
    assert (changed["url"], changed["models"]) == ("https://other.example.org", ["fraud"])
    assert changed["types"] == ["regista.version.promoted.v1"]
    assert kept(table)["url"] == [other]
    gone = {"disabled": True, "reason": "410 Gone"}
    headers = {"Regista-Actor": "system:notifier", "Regista-Cause": "model/fraud@3"}
    off = (await client.patch(RISK, json=gone, headers=headers)).json()
    assert (off["disabled"], off["disabled_reason"]) == (True, "410 Gone")
    removed = (await client.delete(f"{RISK}?reason=done")).json()
    assert (removed["subscription"], removed["removed"]) == ("risk", True)
    assert kept(table) == {}
    late = await client.patch(RISK, json={"description": "x"})
    assert (late.status_code, late.json()["code"]) == (410, "subscription_removed")


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://s3cr3t.example"},
        {"url": "https://ann:s3cr3t@example.org"},
        {"url": URL, "secret": "s3cr3t"},
        {"url": URL, "types": ["x"]},
        {"url": URL, "template": "teams"},
        {"url": ["s3cr3t"]},
        {"url": URL, "id": "a/b"},
    ],
    ids=str,
)
async def test_what_is_refused_is_neither_kept_nor_quoted(
    client: httpx.AsyncClient, table: PrivateTable, body: dict[str, Any]
) -> None:
    answer = await client.post(ALL, json=body)
    assert answer.status_code == 422
    assert "s3cr3t" not in answer.text
    assert kept(table) == {}


async def test_a_rehearsal_makes_nothing(client: httpx.AsyncClient, table: PrivateTable) -> None:
    plan = (await client.post(f"{ALL}?dry_run=true", json={"url": URL})).json()
    assert [event["type"] for event in plan["events"]] == ["regista.subscription.created.v1"]
    assert "secret" not in plan
    assert kept(table) == {}
