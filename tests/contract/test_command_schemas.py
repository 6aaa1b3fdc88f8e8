"""The schemas of commands and results are for ever too: locked, apart from events, the same bytes as ever in any library."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.bus.commands.records import (
    answering,
    decode_order,
    decode_result,
    encode_order,
    encode_result,
    key_of,
    parse_source,
)
from regista.domain.errors import Damaged, Invalid, Malformed, TooLarge
from regista.schemas import codec, lock
from regista.schemas.catalogue import shipped, shipped_commands
from regista.wire.orders import CommandResult, Order

FOLDER = Path(lock.__file__).parent / "commands"
GOLDEN = Path(__file__).parent / "golden_commands"
TIME = datetime(2026, 5, 4, 12, 30, 15, 123456, tzinfo=UTC)
ORDERS = {
    "Command.1.full": Order(
        "01976a3f-8e2a-7c54-9d1e-2f6a8b4c0d11",
        "ci/training",
        "Promote",
        {"model": "fraud", "ref": "1.4.0"},
        {"dry_run": "true"},
        '{"to":"staging"}',
        "nightly",
        '"7"',
        "*",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        TIME,
        "endpoint/prod/fraud@12",
    ),
    "Command.1.minimal": Order("k", "a", "ReviveModel"),
}
RESULTS = {
    "CommandResult.1.full": CommandResult(
        "k", "ci", "Promote", 409, True, "refused", 7, "model/fraud", 3, "ab" * 32, '{"code":"refused"}', TIME
    ),
    "CommandResult.1.minimal": CommandResult("k", "ci", "X", 400, False, None, None, None, None, None, "{}", TIME),
}


def parsed(name: str) -> Any:
    file = FOLDER / "avro" / shipped_commands().newest(name).file
    return fastavro.parse_schema(json.loads(file.read_text(encoding="utf-8")))


def test_the_lock_holds_and_no_event_is_among_them() -> None:
    assert lock.check(FOLDER) == []
    assert set(shipped_commands().names) == {"Command", "CommandResult"}
    assert not set(shipped_commands().names) & set(shipped().names)


@pytest.mark.parametrize(("name", "kind"), [("Command", Order), ("CommandResult", CommandResult)])
def test_dataclass_and_schema_have_the_same_fields(name: str, kind: type[Any]) -> None:
    assert [field["name"] for field in parsed(name)["fields"]] == [field.name for field in fields(kind)]


@pytest.mark.parametrize("name", [*ORDERS, *RESULTS])
def test_golden_values_are_read_and_written_as_ever(name: str) -> None:
    golden = bytes.fromhex((GOLDEN / f"{name}.hex").read_text().strip())
    if name in ORDERS:
        assert (encode_order(ORDERS[name]), decode_order(golden)) == (golden, ORDERS[name])
    else:
        assert (encode_result(RESULTS[name]), decode_result(golden)) == (golden, RESULTS[name])


texts = st.text(max_size=20)
orders = st.builds(
    Order,
    *[texts] * 3,
    *[st.dictionaries(texts, texts, max_size=3)] * 2,
    *[st.none() | texts] * 5,
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | texts,
)


@settings(max_examples=60, deadline=None)
@given(order=orders)
def test_any_avro_library_reads_an_order_the_same(order: Order) -> None:
    value = encode_order(order)
    assert decode_order(value) == order
    read = fastavro.schemaless_reader(io.BytesIO(value[codec.HEADER :]), parsed("Command"), None)
    assert Order(**read) == order  # type: ignore[arg-type]  # fastavro knows no types
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed("Command"), read)
    assert body.getvalue() == value[codec.HEADER :]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xc3\x01",
        bytes(40),
        encode_order(ORDERS["Command.1.full"])[:-1],
        encode_result(RESULTS["CommandResult.1.full"]),
    ],
)
def test_what_is_no_order_is_refused(value: bytes | None) -> None:
    with pytest.raises(Malformed) as caught:
        decode_order(value)
    assert caught.value.code == "undecodable_command"


def test_what_cannot_be_an_order_is_not_sent() -> None:
    with pytest.raises(TooLarge):
        encode_order(Order("k", "a", "RegisterVersion", body="x" * 600_000))
    with pytest.raises(Invalid):
        encode_order(Order("k", "a", "RegisterVersion", body=7))  # type: ignore[arg-type]  # what a caller may do


def test_the_key_is_the_stream_whatever_the_spelling() -> None:
    assert key_of(Order("k", "a", "Promote", {"model": "Fraud", "ref": "1"})) == b"model/fraud"
    assert key_of(Order("k", "a", "RegisterModel", body='{"name": "Fraud"}')) == b"model/fraud"
    for body in (None, "{", "[]", '{"name": 7}', '{"name": "no name"}'):
        assert key_of(Order("k", "a", "RegisterModel", body=body)) == b"RegisterModel"


@pytest.mark.parametrize(
    ("target", "body", "key"),
    [
        ({"environment": "Prod", "endpoint": "Fraud"}, None, b"endpoint/prod/fraud"),
        ({"environment": "Prod"}, None, b"environment/prod"),
        ({"target": "Edge"}, '{"kind":"http"}', b"target/edge"),
        ({"subscription": "Risk"}, None, b"subscription/risk"),
        ({}, '{"environment": "Prod", "name": "Fraud"}', b"endpoint/prod/fraud"),
        ({}, '{"environment": 7, "name": "Fraud"}', b"Some"),
        ({"environment": "a b"}, None, b"Some"),
        ({"other": "x"}, None, b"Some"),
    ],
)
def test_every_kind_of_stream_has_its_key(target: dict[str, str], body: str | None, key: bytes) -> None:
    assert key_of(Order("k", "a", "Some", target, body=body)) == key


def test_a_source_is_told_from_its_header() -> None:
    [(_, value)] = answering("regista.commands.v1/3", 17, None)
    assert value is not None
    assert parse_source(value) == ("regista.commands.v1/3", 17)
    with pytest.raises(Damaged):
        parse_source(b"elsewhere")
    with pytest.raises(Damaged):
        decode_result(encode_order(ORDERS["Command.1.minimal"]))
