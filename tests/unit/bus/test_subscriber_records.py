"""Records that a newer release wrote: a new type is handed out as it is, a new form of a known one stops."""

from __future__ import annotations

import pytest
from tests.support.sample_events import example

from regista.bus.events.envelope import Received
from regista.bus.subscriber.kafka_source import _items
from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.bus.subscriber.source import readable
from regista.domain.chain import Row, event_hash
from regista.domain.errors import Damaged
from regista.domain.events import VersionPromoted
from regista.domain.records import meta_to_record, to_record
from regista.schemas.codec import HEADER, MARK, encode

META, EVENT = example(VersionPromoted, "full")
VALUE = encode("VersionPromoted", {"meta": meta_to_record(META), **to_record(EVENT)})
NEWER = MARK + b"newer..." + VALUE[HEADER:]


def told(kind: str, value: bytes, position: int = 7, index: int = 1, size: int = 1) -> list[LoggedEvent | Bookmark]:
    return list(_items([Received(Row(position, "model/fraud", 3, kind, value), "log", index, size)]))


def test_a_known_type_is_typed_and_what_is_hashed_is_the_value() -> None:
    event, whole = told(EVENT.TYPE, VALUE)
    assert isinstance(event, LoggedEvent)
    assert (event.data, event.actor, event.cause, event.time) == (EVENT, META.actor, META.cause, META.time)
    assert event.previous_hash == META.previous_hash.hex()
    assert event.hash == event_hash("model/fraud", 3, VALUE).hex()
    assert whole == event.bookmark


def test_an_event_of_an_unknown_type_says_who_and_why_and_keeps_its_value() -> None:
    event, _ = told("regista.endpoint.moved.v1", NEWER)
    assert isinstance(event, LoggedEvent)
    assert (event.type, event.actor, event.reason, event.data) == (
        "regista.endpoint.moved.v1", META.actor, META.reason, NEWER,
    )  # fmt: skip
    assert event.as_json()["data"] == {"avro": NEWER.hex()}


def test_a_known_type_in_a_form_that_is_not_known_stops_with_the_way_out() -> None:
    with pytest.raises(Damaged) as stopped:
        told(EVENT.TYPE, NEWER)
    assert stopped.value.code == "undecodable_event"
    assert "upgrade" in (stopped.value.hint or "")


def test_only_the_end_of_a_set_is_a_place_that_no_set_goes_across() -> None:
    assert len(told(EVENT.TYPE, VALUE, 7, 1, 2)) == 1
    assert len(told(EVENT.TYPE, VALUE, 8, 2, 2)) == 2


async def test_what_comes_before_an_event_that_cannot_be_read_is_handed_out() -> None:
    rows = [Row(7, "model/fraud", 3, EVENT.TYPE, VALUE), Row(8, "model/fraud", 4, EVENT.TYPE, NEWER)]
    pieces = readable(_items(Received(row, "log") for row in rows))
    assert [item.position for item in await anext(pieces)] == [7]
    with pytest.raises(Damaged):
        await anext(pieces)
