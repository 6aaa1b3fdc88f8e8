"""Secrets of targets: kept apart, never told, kept only as long as an event names them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.registrar import running
from tests.support.server import app_client

from regista import CommandPublisher
from regista.domain.errors import Invalid
from regista.domain.events import SecretRef
from regista.domain.secrets import GivenSecret
from regista.domain.target.commands import PutTarget
from regista.registrar.secrets import Secrets
from regista.registrar.taking import Delivery, Taker
from regista.store.append import Taken
from regista.store.private import PrivateEntry, PrivateTable
from regista.store.sqlite.private import PRIVATE_FILE, SQLitePrivateTable
from regista.wire.orders import Order

TOKEN = "ghp_correct-horse-battery"
EDGE = "/v1/targets/edge"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(tmp_path) as client:
        yield client


@pytest.fixture
def table(tmp_path: Path) -> PrivateTable:
    return SQLitePrivateTable(tmp_path / PRIVATE_FILE)


async def put(client: httpx.AsyncClient, *, kind: str = "github", query: str = "", **more: Any) -> httpx.Response:
    headers = {"Idempotency-Key": more.pop("key")} if "key" in more else {}
    return await client.put(EDGE + query, json={"kind": kind, **more}, headers=headers)


def kept(table: PrivateTable) -> dict[str, str | None]:
    return {entry.name: table.get(entry.id) for entry in table.entries()}


async def test_a_secret_lies_where_the_event_says_and_nothing_tells_it(
    client: httpx.AsyncClient, table: PrivateTable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await put(client, secrets={"token": TOKEN})
    assert answer.status_code == 201
    [secret] = answer.json()["secrets"]
    assert table.get(secret["id"]) == TOKEN
    assert [(entry.id, entry.owner) for entry in table.entries()] == [(secret["id"], "target/edge")]
    position = answer.json()["position"]
    events = await client.get(f"/v1/events?min_position={position}")
    export = await client.get("/v1/admin/export")
    wrong = await put(client, kind="a/b", secrets={"token": TOKEN})
    assert wrong.status_code == 422
    for told in (answer.text, events.text, export.text, wrong.text, caplog.text):
        assert TOKEN not in told


async def test_what_is_left_out_stays_what_is_given_counts_and_null_forgets(
    client: httpx.AsyncClient, table: PrivateTable
) -> None:
    first = (await put(client, secrets={"token": TOKEN, "other": "x"})).json()["secrets"]
    assert (await put(client, description="new")).json()["secrets"] == first
    same = (await put(client, secrets={"token": TOKEN})).json()["secrets"]
    assert same == first
    changed = (await put(client, secrets={"token": "another", "other": None})).json()["secrets"]
    assert [secret["name"] for secret in changed] == ["token"]
    assert changed[0]["fingerprint"] not in {secret["fingerprint"] for secret in first}
    assert kept(table) == {"token": "another"}
    assert (await put(client, kind="http")).json()["secrets"] == []
    assert kept(table) == {}


async def test_a_removed_target_has_no_secrets_any_more(client: httpx.AsyncClient, table: PrivateTable) -> None:
    await put(client, secrets={"token": TOKEN})
    assert (await client.delete(f"{EDGE}?reason=done")).status_code == 200
    assert kept(table) == {}
    assert (await put(client)).json()["secrets"] == []


async def test_a_command_is_told_from_another_by_its_secret(client: httpx.AsyncClient, table: PrivateTable) -> None:
    first = await put(client, secrets={"token": TOKEN}, key="k")
    again = await put(client, secrets={"token": TOKEN}, key="k")
    assert again.json() == {**first.json(), "replayed": True}
    other = await put(client, secrets={"token": "another"}, key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert kept(table) == {"token": TOKEN}


async def test_the_same_command_sent_at_once_leaves_one_secret(client: httpx.AsyncClient, table: PrivateTable) -> None:
    answers = await asyncio.gather(*(put(client, secrets={"token": TOKEN}, key="k") for _ in range(8)))
    assert {answer.json()["position"] for answer in answers} == {answers[0].json()["position"]}
    [entry] = table.entries()
    assert {answer.json()["secrets"][0]["id"] for answer in answers} == {entry.id}


@pytest.mark.parametrize(
    "changes",
    [
        {"query": "?dry_run=true"},
        {"settings": {"password": "x"}},
        {"kind": "a/b"},
        {"secrets": {"token": TOKEN, " ": "x"}},
        {"secrets": {"token": ""}},
        {"secrets": {"token": 5}},
        {"secrets": [TOKEN]},
    ],
    ids=str,
)
async def test_what_changes_nothing_keeps_nothing(
    client: httpx.AsyncClient, table: PrivateTable, changes: dict[str, Any]
) -> None:
    answer = await put(client, **{"secrets": {"token": TOKEN}, **changes})
    assert answer.status_code in (200, 422)
    assert TOKEN not in answer.text
    assert kept(table) == {}


async def test_what_the_table_cannot_keep_is_not_done(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / PRIVATE_FILE).unlink()
    (tmp_path / PRIVATE_FILE).mkdir()
    answer = await put(client, secrets={"token": TOKEN})
    assert (answer.status_code, answer.json()["code"]) == (503, "private_unavailable")
    assert (await put(client)).status_code == 201


class Failing(SQLitePrivateTable):
    """A table that cannot erase now."""

    def erase(self, ids: object) -> None:  # noqa: ARG002 - as in the protocol
        raise Invalid("not now")

    def entries(self) -> list[PrivateEntry]:
        return list(super().entries())


async def test_what_cannot_be_erased_now_fails_no_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await Secrets(Failing(tmp_path / PRIVATE_FILE)).erase(["1"])
    assert "erased later" in caplog.text


async def test_a_queue_takes_no_secret_and_a_removal_by_it_erases(tmp_path: Path) -> None:
    erased: list[str] = []
    async with running(tmp_path, erase=erased) as one:
        given = json.dumps({"kind": "github", "secrets": {"token": TOKEN}})
        plain = json.dumps({"kind": "github", "secrets": {"token": None}})
        orders = [
            Order("k1", "ann", "PutTarget", {"target": "edge"}, body=given),
            Order("k2", "ann", "PutTarget", {"target": "edge"}, body=plain),
        ]
        verdicts: list[Any] = []

        def tell(_: Delivery, verdict: Any) -> tuple[()]:
            verdicts.append(verdict)
            return ()

        deliveries = [Delivery(at, order) for at, order in enumerate(orders)]
        assert await Taker(one.registrar).take("commands/0", Taken(0), deliveries, tell) == 2
        assert (verdicts[0].code, verdicts[0].status) == ("secret_over_kafka", 422)
        assert "HTTP" in verdicts[0].hint
        assert TOKEN not in repr(verdicts)
        assert verdicts[1].answer["secrets"] == []
        secret = SecretRef("token", "id-1", "sha256:12")
        given_over_http = PutTarget("edge", "github", secrets=(GivenSecret("token", "sha256:12"),))
        await one.do(given_over_http, kept={"token": secret})
        removal = Order("k3", "ann", "RemoveTarget", {"target": "edge"}, reason="done")
        await Taker(one.registrar).take("commands/0", Taken(2), [Delivery(2, removal)], tell)
        assert erased == ["id-1"]


@pytest.mark.parametrize(
    ("body", "gives"),
    [
        ({"secrets": {"a": "x"}}, True),
        ({"secrets": ["x"]}, True),
        ({"secrets": {"a": None}}, False),
        ({"secrets": {}}, False),
        ({}, False),
        ([], False),
    ],
    ids=str,
)
async def test_nothing_secret_is_published(body: Any, gives: bool) -> None:
    order = Order("k", "ann", "PutTarget", {"target": "edge"}, body=json.dumps(body))
    assert order.gives_secrets is gives
    publisher = CommandPublisher("127.0.0.1:1", actor="ann")
    with pytest.raises(Invalid) as refused:
        await publisher.publish(order)
    assert refused.value.code == ("secret_over_kafka" if gives else "not_open")
