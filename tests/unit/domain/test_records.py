"""Events as records and back, and records as the API shows them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from tests.support.event_strategies import events, metas
from tests.support.sample_events import example, full, minimal

from regista.domain.errors import Damaged
from regista.domain.events import EVENT_TYPES, Event, Meta, ModelRegistered, ModelUpdated, VersionRegistered
from regista.domain.records import (
    TYPE_OF,
    from_json,
    from_record,
    meta_from_record,
    meta_to_record,
    to_json,
    to_record,
)


def lists(value: Any) -> Any:
    """``asdict`` keeps tuples; records hold lists."""
    if isinstance(value, dict):
        return {key: lists(item) for key, item in value.items()}
    return [lists(item) for item in value] if isinstance(value, tuple) else value


@settings(max_examples=60, deadline=None)
@given(event=events())
def test_a_record_has_all_of_the_event_in_its_order_and_gives_it_back(event: Event) -> None:
    record = to_record(event)
    expected = lists(asdict(event))  # type: ignore[call-overload]  # events are dataclasses
    assert repr(record) == repr(expected)
    assert from_record(event.TYPE, record) == event
    assert from_record(event.TYPE, {"meta": {"time": None}, **record}) == event


@settings(max_examples=60, deadline=None)
@given(event=events())
def test_what_the_api_shows_of_an_event_gives_the_event_back(event: Event) -> None:
    shown = json.loads(json.dumps(to_json(to_record(event))))
    assert from_json(event.TYPE, {**shown, "added_later": 1}) == event


def test_what_an_older_release_did_not_show_has_its_default() -> None:
    event = minimal(ModelUpdated)
    assert from_json(ModelUpdated.TYPE, {"model": event.model}) == ModelUpdated(event.model)


@pytest.mark.parametrize(
    "changed", [{"model": ...}, {"trained_at": "yesterday"}, {"numbering": 3}, {"artifact": None}], ids=str
)
def test_what_is_no_event_in_json_is_damage(changed: dict[str, Any]) -> None:
    shown = to_json(to_record(full(VersionRegistered))) | changed
    with pytest.raises(Damaged, match="not a record of VersionRegistered"):
        from_json(VersionRegistered.TYPE, {name: value for name, value in shown.items() if value is not ...})


@given(meta=metas())
def test_meta_survives_the_way_to_a_record_and_back(meta: Meta) -> None:
    assert repr(meta_to_record(meta)) == repr(lists(asdict(meta)))
    assert meta_from_record(meta_to_record(meta)) == meta


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("kind", ["full", "minimal"])
def test_what_comes_back_is_hashed_and_compared_as_what_went_in(cls: type[Event], kind: str) -> None:
    _, event = example(cls, kind)
    again = from_record(cls.TYPE, to_record(event))
    assert again == event
    assert repr(again) == repr(event)
    assert TYPE_OF[cls.__name__] == cls.TYPE


def test_a_record_shares_nothing_that_can_change_with_its_event() -> None:
    event = full(VersionRegistered)
    record = to_record(event)
    record["tags"]["team"] = "other"
    record["artifact"]["files"].clear()
    record["incomplete"].append("more")
    assert event == full(VersionRegistered)


def test_fields_that_this_release_does_not_know_are_left_aside() -> None:
    event = full(ModelRegistered)
    assert from_record(ModelRegistered.TYPE, to_record(event) | {"added_later": 1}) == event


def test_a_type_that_this_release_does_not_know_is_damage_with_the_way_out() -> None:
    with pytest.raises(Damaged) as error:
        from_record("regista.model.sold.v1", {})
    assert error.value.code == "unknown_event_type"
    assert error.value.hint is not None
    assert "upgrade" in error.value.hint


@pytest.mark.parametrize(
    "broken",
    [{}, {"model": "a"}, to_record(minimal(VersionRegistered)) | {"artifact": 7}, to_record(minimal(VersionRegistered)) | {"artifact": {}}],
)  # fmt: skip
def test_a_record_that_lacks_something_is_damage(broken: dict[str, Any]) -> None:
    with pytest.raises(Damaged, match="not a record of VersionRegistered"):
        from_record(VersionRegistered.TYPE, broken)


def test_meta_that_lacks_something_is_damage() -> None:
    with pytest.raises(Damaged, match="not a record of Meta"):
        meta_from_record({"actor": "ada"})


def test_json_shows_times_in_utc_to_the_microsecond_bytes_in_hex_and_no_meta() -> None:
    tokyo = timezone(timedelta(hours=9))
    record = {
        "meta": {"time": datetime(2026, 1, 1, tzinfo=UTC)},
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "local": datetime(2026, 1, 1, 8, 59, 59, 1, tzinfo=tokyo),
        "hash": b"\x00\xff",
        "inner": {"list": [{"at": datetime(1, 1, 1, tzinfo=UTC)}], "tuple": (1, 1.0, True, None, "x")},
    }
    assert repr(to_json(record)) == repr(
        {
            "time": "2026-01-01T00:00:00.000000Z",
            "local": "2025-12-31T23:59:59.000001Z",
            "hash": "00ff",
            "inner": {"list": [{"at": "0001-01-01T00:00:00.000000Z"}], "tuple": [1, 1.0, True, None, "x"]},
        }
    )


def test_what_describes_nothing_is_null_in_json_too() -> None:
    assert to_json(to_record(ModelUpdated("fraud")))["title"] is None


@dataclass(frozen=True, slots=True)
class Undecided(Event):
    """An event whose type a record cannot tell."""

    TYPE = "test.undecided.v1"
    value: Meta | str


@dataclass(frozen=True, slots=True)
class Strange(Event):
    """An event that holds what no record can."""

    TYPE = "test.strange.v1"
    value: complex


@dataclass(frozen=True, slots=True)
class Deep(Event):
    """An event with records in a map."""

    TYPE = "test.deep.v1"
    value: dict[str, Meta]


@pytest.mark.parametrize("event", [Undecided("a"), Strange(1j), Deep({})])
def test_an_event_that_cannot_be_a_record_is_refused_at_its_first_use(event: Event) -> None:
    with pytest.raises(TypeError):
        to_record(event)
