"""The envelope: key, headers and value restore a row exactly, and nothing else passes for an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.chained_log import TIME

from regista.bus.events.envelope import Headers, received, to_headers
from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.domain.events import Meta, ModelRevived
from regista.schemas.codec import fingerprint
from regista.store.mapper import AvroMapper, Recorded

LOG = "5f1c0c7e-1c6f-4a7e-9a39-0d1e2f3a4b5c"
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@dataclass
class Sent:
    key: bytes | None
    value: bytes | None
    headers: Headers


def row_of(
    position: int = 7, actor: str = "ci", command_id: str = "c-1", traceparent: str | None = None, time: datetime = TIME
) -> Row:
    meta = Meta(time, actor, "asserted", None, command_id, bytes(32), None, None, traceparent, bytes(32))
    stored = AvroMapper().to_stored_event(Recorded("model/fraud", 3, meta, ModelRevived("fraud")))
    return Row(position, "model/fraud", 3, stored.topic, stored.state)


def sent(row: Row, set_index: int = 1, set_size: int = 1) -> Sent:
    return Sent(row.stream.encode(), row.value, to_headers(row, LOG, set_index, set_size))


@given(
    position=st.integers(1, 2**63 - 1), sequence=st.integers(1, 2**63 - 1), stream=texts, actor=texts, command_id=texts
)
def test_a_record_restores_its_row_exactly(
    position: int, sequence: int, stream: str, actor: str, command_id: str
) -> None:
    row = row_of(position, actor, command_id)._replace(stream=stream, sequence=sequence)
    found = received(sent(row, 2, 3))
    assert (found.row, found.log_id, found.set_index, found.set_size) == (row, LOG, 2, 3)
    assert not found.ends_set


def test_headers_are_those_of_cloudevents_and_of_the_log() -> None:
    row = row_of(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert dict(to_headers(row, LOG)) == {
        "ce_specversion": b"1.0",
        "ce_id": f"{LOG}:7".encode(),
        "ce_source": f"urn:regista:log:{LOG}".encode(),
        "ce_type": b"regista.model.revived.v1",
        "ce_subject": b"model/fraud",
        "ce_time": b"2026-03-01T12:00:00Z",
        "ce_dataschema": f"urn:regista:schema:{fingerprint(row.value).hex()}".encode(),
        "content-type": b"application/avro",
        "ce_position": b"7",
        "ce_sequence": b"3",
        "ce_logid": LOG.encode(),
        "ce_actor": b"ci",
        "ce_commandid": b"c-1",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def test_a_set_of_one_needs_no_word_about_it() -> None:
    assert not {"ce_setindex", "ce_setsize"} & dict(to_headers(row_of(), LOG)).keys()
    found = received(sent(row_of()))
    assert (found.set_index, found.set_size, found.ends_set) == (1, 1, True)


def test_a_time_keeps_its_microseconds() -> None:
    row = row_of(time=datetime(2026, 3, 1, 12, 0, 0, 120, tzinfo=UTC))
    assert dict(to_headers(row, LOG))["ce_time"] == b"2026-03-01T12:00:00.000120Z"


def test_a_log_id_of_any_text_gives_a_uri() -> None:
    assert dict(to_headers(row_of(), "my log/1"))["ce_source"] == b"urn:regista:log:my%20log%2F1"


def test_a_row_that_is_no_event_is_not_published() -> None:
    with pytest.raises(Damaged) as damaged:
        to_headers(Row(1, "model/a", 1, "regista.model.revived.v1", b"nonsense"), LOG)
    assert damaged.value.code == "undecodable_event"


@pytest.mark.parametrize(
    "broken",
    [
        {"key": None},
        {"value": None},
        {"value": b"{}"},
        {"ce_position": b"minus one"},
        {"ce_position": b"0"},
        {"ce_sequence": None},
        {"ce_type": None},
        {"ce_logid": None},
        {"ce_setsize": b"0"},
        {"ce_setindex": b"2"},
        {"key": b"\xff"},
    ],
    ids=str,
)
def test_what_no_relay_wrote_is_refused(broken: dict[str, bytes | None]) -> None:
    record = sent(row_of())
    headers = {name: value for name, value in {**dict(record.headers), **broken}.items() if value is not None}
    record.headers = [(name, value) for name, value in headers.items() if name not in {"key", "value"}]
    if "key" in broken:
        record.key = broken["key"]
    if "value" in broken:
        record.value = broken["value"]
    with pytest.raises(Damaged) as damaged:
        received(record)
    assert damaged.value.code == "undecodable_record"
    assert damaged.value.hint
