"""Events to stored bytes and back, from a closed table of types."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from eventsourcing.persistence import StoredEvent

from regista.domain.chain import Row
from regista.domain.errors import Damaged, TooLarge
from regista.domain.events import Meta, ModelRegistered, Origin
from regista.schemas import codec
from regista.store.mapper import AvroMapper, Recorded

META = Meta(
    time=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
    actor="ci",
    identity="import",
    reason="because",
    command_id="c-1",
    command_digest=bytes(range(32)),
    cause="model/other@7",
    origin=Origin("mlflow", "42", datetime(2020, 1, 1, tzinfo=UTC)),
    traceparent=None,
    previous_hash=bytes(32),
)
RECORDED = Recorded("model/fraud", 3, META, ModelRegistered("Fraud", "Titel ☃", "", None, {"team": "risk"}, "default"))


def test_an_event_comes_back_as_it_was() -> None:
    mapper = AvroMapper()
    stored = mapper.to_stored_event(RECORDED)
    assert (stored.originator_id, stored.originator_version) == ("model/fraud", 3)
    assert stored.topic == "regista.model.registered.v1"
    assert mapper.to_domain_event(stored) == RECORDED
    assert mapper.from_row(Row(9, "model/fraud", 3, stored.topic, stored.state)) == RECORDED


def test_the_stored_bytes_are_plain_avro_single_object_encoding() -> None:
    stored = AvroMapper().to_stored_event(RECORDED)
    assert stored.state[:2] == b"\xc3\x01"
    assert codec.decode(stored.state).name == "ModelRegistered"


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("regista.domain.events:ModelRegistered", "unknown_event_type"),
        ("os:system", "unknown_event_type"),
        ("regista.model.retired.v1", "wrong_event_type"),
    ],
)
def test_a_type_is_never_looked_up_outside_the_table(topic: str, code: str) -> None:
    stored = AvroMapper().to_stored_event(RECORDED)
    with pytest.raises(Damaged) as caught:
        AvroMapper().to_domain_event(StoredEvent("model/fraud", 3, topic, stored.state))
    assert caught.value.code == code
    assert "model/fraud@3" in caught.value.detail


@pytest.mark.parametrize("spoil", [lambda value: value[:-1], lambda value: value + b"\0", lambda _: b""])
def test_bytes_that_are_no_event_are_damage(spoil: type[bytes]) -> None:
    stored = AvroMapper().to_stored_event(RECORDED)
    with pytest.raises(Damaged, match="model/fraud@3"):
        AvroMapper().to_domain_event(StoredEvent("model/fraud", 3, stored.topic, spoil(stored.state)))


def test_an_event_over_the_limit_is_refused_with_its_size() -> None:
    large = replace(RECORDED, event=ModelRegistered("Fraud", None, "x" * 2**19, None, {}, "default"))
    with pytest.raises(TooLarge) as caught:
        AvroMapper().to_stored_event(large)
    assert caught.value.code == "event_too_large"
    assert "524288" in caught.value.detail
