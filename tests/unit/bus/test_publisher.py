"""Publishing commands: what is told before Kafka is reached, and how the client's requests become orders."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

import regista
from regista import CommandPublisher, CommandResult, Order
from regista.bus.commands.records import decode_order, encode_order
from regista.bus.commands.transport import OverKafka, order_of
from regista.client.clients import AsyncClient

PROGRAM = """
import sys
import regista
publisher = regista.CommandPublisher("127.0.0.1:9092", actor="ci")
print(publisher.actor, regista.Order("k", "ci", "X").type, regista.CommandResult.__name__)
heavy = {"aiokafka", "eventsourcing", "fastapi", "fastavro", "orjson", "prometheus_client", "sqlalchemy", "starlette"}
print(sorted(heavy & set(sys.modules)))
sys.modules["aiokafka"] = None  # as where it is not installed
try:
    regista.CommandPublisher("127.0.0.1:9092")
except regista.Invalid as error:
    print(error.code, error.hint)
"""
TIME = datetime(2026, 5, 4, tzinfo=UTC)


class Registry:
    """Takes orders and answers as it is told."""

    def __init__(self, status: int = 200, **answer: object) -> None:
        self.orders: list[Order] = []
        self.status = status
        self.answer = answer

    async def carry_out(self, order: Order) -> CommandResult:
        self.orders.append(decode_order(encode_order(order)))
        body = json.dumps(self.answer)
        return CommandResult(
            order.command_id, order.actor, order.type, self.status, False, None, 7, "s", 1, "ab", body, TIME
        )


def client(registry: Registry) -> AsyncClient:
    return AsyncClient("http://127.0.0.1:1", actor="ci/train", attempts=1, transport=OverKafka(registry.carry_out))


def test_a_publisher_loads_the_client_of_kafka_when_it_is_opened_and_says_how_to_get_it() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["ci X CommandResult", "[]", "extra_missing pip install 'regista[kafka]'"]


async def test_what_the_client_would_send_is_the_order() -> None:
    registry = Registry(model="Fraud d", version="1.0.0", ordinal=1, stage="staging", aliases=[], incomplete=[])
    registry.answer |= {"artifact": {"digest": "d"}, "stream": "s", "sequence": 1, "position": 7, "hash": "ab"}
    registry.answer |= {"command_id": "k", "replayed": False}
    async with client(registry) as commands:
        promoted = await commands.promote(
            "fraud", "@champion", to="staging", reason="why ☃", expect_current=None, if_match=4, command_id="k"
        )
        assert (promoted.stage, commands.position) == ("staging", 7)
        await commands.archive("fraud", "1.0.0", reason="r", leave_empty=True)
    first, second = registry.orders
    body = {"to": "staging", "reason": "why ☃", "keep_existing": False, "expect_current": None}
    assert json.loads(first.body or "") == body
    assert (first.command_id, first.actor, first.type, first.if_match) == ("k", "ci/train", "Promote", '"4"')
    assert first.target == {"model": "fraud", "ref": "@champion"}
    assert (second.type, second.parameters) == ("Archive", {})


async def test_a_refusal_is_the_client_s_error_and_is_not_asked_for_again() -> None:
    registry = Registry(409, code="name_taken", detail="taken", hint="another", reasons=[])
    async with client(registry) as commands:
        with pytest.raises(regista.Refused) as caught:
            await commands.create_model("fraud")
    assert (caught.value.code, caught.value.detail, len(registry.orders)) == ("name_taken", "taken", 1)


def test_queries_and_escapes_come_through_and_what_is_no_command_does_not() -> None:
    headers = {"idempotency-key": "k", "regista-actor": "ci%2Ftrain", "regista-cause": "model/a@3"}
    order = order_of("DELETE", "/v1/models/a%20b/aliases/x", {"reason": "r"}, headers, b"")
    assert (order.type, order.target, order.actor, order.body) == (
        "RemoveAlias",
        {"model": "a b", "alias": "x"},
        "ci/train",
        None,
    )
    assert order.cause == "model/a@3"
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/artifacts"), ("POST", "/v1/models/a/b/c/d/e")):
        with pytest.raises(regista.Malformed) as caught:
            order_of(method, path, {}, headers, b"")
        assert caught.value.code == "unknown_route"


def test_without_brokers_there_is_no_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTA_KAFKA", raising=False)
    for kafka in (None, "no address"):
        with pytest.raises(regista.Invalid) as caught:
            CommandPublisher(kafka)
        assert caught.value.code == "bad_settings"
    monkeypatch.setenv("REGISTA_KAFKA", "127.0.0.1:9092")
    monkeypatch.setenv("REGISTA_ACTOR", "ci/x")
    assert CommandPublisher().actor == "ci/x"


async def test_a_publisher_that_is_not_open_says_so() -> None:
    publisher = CommandPublisher("127.0.0.1:9092", actor="ci")
    with pytest.raises(regista.Invalid) as caught:
        await publisher.create_model("fraud")
    assert caught.value.code == "not_open"
    await publisher.aclose()


async def test_a_publisher_without_kafka_is_told_so_when_it_is_opened() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(regista.Unavailable) as caught:
            async with CommandPublisher(address, actor="ci"):
                pass
    assert caught.value.code == "kafka_unavailable"
