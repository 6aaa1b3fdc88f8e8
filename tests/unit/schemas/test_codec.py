"""The codec: exact types in, every byte checked on the way out, and never an error of another kind."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.sample_events import example

from regista.domain.events import EVENT_TYPES, ModelRegistered, VersionPromoted, VersionRegistered
from regista.domain.records import meta_to_record, to_record
from regista.schemas import codec
from regista.schemas.catalogue import shipped
from regista.schemas.errors import NotEncodable, SchemaError, TooLarge, Undecodable, UnknownSchema
from regista.schemas.writer import varint

Record = dict[str, Any]
ZIGZAG_MINIMUM = varint(2**64 - 1)
HUGE = varint(2**62)


def record(cls: type = VersionRegistered, kind: str = "full") -> Record:
    meta, event = example(cls, kind)
    return {"meta": meta_to_record(meta), **to_record(event)}


def value(cls: type = VersionRegistered, kind: str = "full") -> bytes:
    return codec.encode(cls.__name__, record(cls, kind))


class Change(StrEnum):
    """Equal to a text, and not one."""

    CONFIGURATION = "configuration"


VALUES = {(cls.__name__, kind): value(cls, kind) for cls in EVENT_TYPES.values() for kind in ("full", "minimal")}


def set_at(path: str, new: object) -> Record:
    """A full VersionRegistered with one thing changed; ``path`` as in the codec's messages, without brackets."""
    changed = record()
    *above, last = path.split(".")
    place: Any = changed
    for step in above:
        place = place[int(step) if step.isdigit() else step]
    place[last] = new
    return changed


def test_a_value_is_in_single_object_encoding_with_the_fingerprint_of_its_schema() -> None:
    entry = shipped().newest("VersionRegistered")
    assert value()[:10] == b"\xc3\x01" + bytes.fromhex(entry.fingerprint)
    assert codec.fingerprint(value()).hex() == entry.fingerprint


@pytest.mark.parametrize(
    ("path", "wrong", "said"),
    [
        ("ordinal", 2.7, "ordinal: expected an integer, got float 2.7"),
        ("ordinal", 2.0, "ordinal: expected an integer"),
        ("ordinal", True, "ordinal: expected an integer, got bool True"),
        ("ordinal", "7", "ordinal: expected an integer"),
        ("ordinal", None, "ordinal: expected an integer"),
        ("ordinal", 2**63, "ordinal: not within 64 bits"),
        ("ordinal", -(2**63) - 1, "ordinal: not within 64 bits"),
        ("artifact.files.1.size", 1.5, "artifact.files[1].size: expected an integer"),
        ("artifact.digest", None, "artifact.digest: expected a text, got NoneType None"),
        ("artifact.digest", b"ab", "artifact.digest: expected a text"),
        ("artifact", None, "artifact: expected a record Artifact"),
        ("artifact.files", "ab", "artifact.files: expected an array"),
        ("artifact.files", {"a": 1}, "artifact.files: expected an array"),
        ("code.dirty", 1, "code.dirty: expected a boolean, got int 1"),
        ("code", [], "code: expected a record Code"),
        ("metrics", {"auc": float("nan")}, "metrics['auc']: expected a finite number, got float nan"),
        ("metrics", {"auc": float("-inf")}, "metrics['auc']: expected a finite number"),
        ("metrics", {"auc": True}, "metrics['auc']: expected a finite number"),
        ("metrics", {"auc": "0.9"}, "metrics['auc']: expected a finite number"),
        ("metrics", {"auc": 2**53 + 1}, "metrics['auc']: expected a finite number"),
        ("metrics", {1: 0.9}, "metrics[1] (the key): expected a text"),
        ("metrics", [0.9], "metrics: expected a map"),
        ("params", {"depth": 2**63}, "params['depth']: not within 64 bits"),
        ("params", {"rate": float("inf")}, "params['rate']: expected"),
        ("params", {"layers": [1, 2]}, "params['layers']: expected null or boolean or integer or double or text"),
        ("params", {"note": "\ud800"}, "params['note']: not Unicode text"),
        ("trained_at", datetime(2026, 1, 1), "trained_at: expected a datetime with a zone"),  # noqa: DTZ001 - that is the point
        (
            "trained_at",
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))),
            "trained_at: expected a datetime of the years",
        ),
        ("trained_at", 1_700_000_000_000_000, "trained_at: expected a datetime with a zone"),
        ("description", "a\ud800b", "description: not Unicode text: surrogates not allowed at character 1"),
        ("tags", {"a\udfff": "b"}, "tags['a\\udfff'] (the key): not Unicode text"),
        ("signature.inputs.0.shape", [None, 2.5], "signature.inputs[0].shape[1]: expected an integer"),
        ("meta.identity", "guessed", "meta.identity: expected one of asserted, authenticated, system, import"),
        ("meta.identity", ["asserted"], "meta.identity: expected one of"),
        ("meta.previous_hash", bytes(31), "meta.previous_hash: expected 32 bytes"),
        ("meta.previous_hash", bytearray(32), "meta.previous_hash: expected 32 bytes"),
        ("meta.time", datetime(2026, 1, 1), "meta.time: expected a datetime with a zone"),  # noqa: DTZ001 - that is the point
        ("change", Change.CONFIGURATION, "change: expected a text, got Change"),
        ("surprise", 1, "surprise: no such field"),
        ("code.surprise", 1, "code.surprise: no such field"),
    ],
)
def test_what_is_not_of_its_type_is_refused_by_the_path_of_its_field(path: str, wrong: object, said: str) -> None:
    with pytest.raises(NotEncodable) as refusal:
        codec.encode("VersionRegistered", set_at(path, wrong))
    assert str(refusal.value).startswith(f"VersionRegistered: {said}")


@pytest.mark.parametrize("path", ["ordinal", "code", "description"])
def test_a_missing_field_is_named_even_when_the_schema_has_a_default(path: str) -> None:
    broken = record()
    del broken[path]
    with pytest.raises(NotEncodable, match=f"{path}: missing"):
        codec.encode("VersionRegistered", broken)


def test_a_field_missing_and_another_too_many_are_not_mistaken_for_each_other() -> None:
    broken = record()
    broken["desciption"] = broken.pop("description")
    with pytest.raises(NotEncodable, match="description: missing"):
        codec.encode("VersionRegistered", broken)


@pytest.mark.parametrize("broken", [None, [], "record", 7])
def test_what_is_no_record_at_all_is_refused(broken: Any) -> None:
    with pytest.raises(NotEncodable, match="expected a record VersionRegistered"):
        codec.encode("VersionRegistered", broken)


def test_a_name_without_a_schema_is_refused() -> None:
    with pytest.raises(UnknownSchema, match="VersionLost"):
        codec.encode("VersionLost", {})


def test_scalars_keep_their_type() -> None:
    scalars = {"a": True, "b": False, "c": 1, "d": 0, "e": 1.0, "f": -0.0, "g": "1", "h": "", "i": None, "j": -(2**63)}
    decoded = codec.decode(codec.encode("VersionRegistered", set_at("params", scalars))).record["params"]
    assert [(key, type(item), repr(item)) for key, item in decoded.items()] == [
        (key, type(item), repr(item)) for key, item in scalars.items()
    ]


def test_an_integer_that_a_double_holds_exactly_is_one() -> None:
    metrics = codec.decode(codec.encode("VersionRegistered", set_at("metrics", {"a": 1, "b": -(2**53)}))).record[
        "metrics"
    ]
    assert metrics == {"a": 1.0, "b": -(2.0**53)}
    assert {type(item) for item in metrics.values()} == {float}


def test_times_of_any_zone_are_the_same_moment_to_the_microsecond() -> None:
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    local = moment.astimezone(timezone(timedelta(hours=5, minutes=45)))
    for time in (moment, local):
        decoded = codec.decode(codec.encode("VersionRegistered", set_at("trained_at", time))).record["trained_at"]
        assert (decoded, decoded.tzinfo) == (moment, UTC)


def test_tuples_and_read_only_maps_are_as_good_as_lists_and_dicts() -> None:
    plain = record()
    other = plain | {"tags": MappingProxyType(plain["tags"]), "incomplete": tuple(plain["incomplete"])}
    assert codec.encode("VersionRegistered", MappingProxyType(other)) == codec.encode("VersionRegistered", plain)


def test_a_value_over_the_limit_is_neither_written_nor_read() -> None:
    room = codec.MAX_VALUE - len(codec.encode("ModelRegistered", record(ModelRegistered) | {"description": ""})) - 2
    largest = codec.encode("ModelRegistered", record(ModelRegistered) | {"description": "x" * room})
    assert len(largest) == codec.MAX_VALUE
    assert codec.decode(largest).record["description"] == "x" * room
    with pytest.raises(TooLarge) as refusal:
        codec.encode("ModelRegistered", record(ModelRegistered) | {"description": "x" * (room + 1)})
    assert (refusal.value.size, refusal.value.limit) == (codec.MAX_VALUE + 1, codec.MAX_VALUE)
    with pytest.raises(Undecodable, match="limit"):
        codec.decode(largest + b"\x00")


@pytest.mark.parametrize("key", VALUES, ids=".".join)
def test_a_value_cut_anywhere_is_undecodable(key: tuple[str, str]) -> None:
    whole = VALUES[key]
    for end in range(len(whole)):
        with pytest.raises(SchemaError):
            codec.decode(whole[:end])


@pytest.mark.parametrize("key", VALUES, ids=".".join)
def test_trailing_bytes_are_refused(key: tuple[str, str]) -> None:
    for tail in (b"\x00", b"\x02", b"more"):
        with pytest.raises(Undecodable, match="trailing"):
            codec.decode(VALUES[key] + tail)


def test_no_flipped_bit_gives_an_error_of_another_kind() -> None:
    whole = VALUES["VersionRegistered", "full"]
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        decode_or_refuse(bytes(flipped))


@settings(max_examples=500, deadline=None)
@given(key=st.sampled_from(sorted(VALUES)), data=st.data())
def test_no_damage_gives_an_error_of_another_kind(key: tuple[str, str], data: st.DataObject) -> None:
    whole = VALUES[key]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 12)))
    decode_or_refuse(whole[:start] + data.draw(st.binary(max_size=24)) + whole[end:])


@settings(max_examples=500, deadline=None)
@given(key=st.sampled_from(sorted(VALUES)), body=st.binary(max_size=400))
def test_no_random_bytes_give_an_error_of_another_kind(key: tuple[str, str], body: bytes) -> None:
    decode_or_refuse(VALUES[key][:10] + body)
    decode_or_refuse(body)


def decode_or_refuse(damaged: bytes) -> None:
    for read in (codec.decode, codec.decode_meta):
        with suppress(SchemaError):
            read(damaged)


@pytest.mark.parametrize(
    "length", [HUGE, ZIGZAG_MINIMUM, varint(2**32), varint(1), varint(2 * codec.MAX_VALUE), b"\xff" * 30]
)
@pytest.mark.parametrize("place", ["text", "array", "map"])
def test_a_huge_or_negative_length_allocates_nothing(place: str, length: bytes) -> None:
    whole = VALUES["VersionRegistered", "minimal"]
    # the places of a length: the description's text, the tags' map, the list of what is incomplete, from the end
    description = record(VersionRegistered, "minimal")["description"].encode()
    tail = varint(len(description) << 1) + description + b"\x00"
    assert whole.endswith(b"\x00\x00" + tail)
    before = whole.removesuffix(tail)
    damaged = {
        "text": before + length + description + b"\x00",
        "array": whole[:-1] + length + b"\x02x" * 100_000 + b"\x00",
        "map": before[:-2] + length + b"\x02k\x02v" * 50_000 + b"\x00\x00" + tail,
    }[place]
    tracemalloc.start()
    try:
        with pytest.raises(Undecodable):
            codec.decode(damaged)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(damaged) + 1_000_000


@pytest.mark.parametrize(
    "length", [b"\x01", b"\x80" * 9 + b"\x02", b"\x80" * 10 + b"\x00", b"\x80" * 400_000 + b"\x00"]
)
def test_a_length_that_is_negative_or_over_64_bits_is_not_taken_for_another(length: bytes) -> None:
    empty = codec.encode("VersionRegistered", record(VersionRegistered, "minimal") | {"description": ""})
    assert empty.endswith(b"\x00\x00")
    with pytest.raises(Undecodable, match="VersionRegistered: a length, branch or symbol that cannot be"):
        codec.decode(empty[:-2] + length + b"\x00")


def test_items_in_blocks_with_their_size_are_read_too() -> None:
    whole = VALUES["VersionRegistered", "minimal"]
    items = b"\x02a\x04bc"
    blocks = varint(3) + varint(len(items) << 1) + items + varint(2) + b"\x02d" + b"\x00"
    assert codec.decode(whole[:-1] + blocks).record["incomplete"] == ["a", "bc", "d"]


@pytest.mark.parametrize("damaged", [b"", b"\xc3", b"\xc3\x01", b'{"type": "x"}', b"\x00" * 40, b"Obj\x01" + bytes(40)])
def test_what_is_no_single_object_encoding_is_undecodable(damaged: bytes) -> None:
    with pytest.raises(Undecodable, match="single-object"):
        codec.decode(damaged)
    with pytest.raises(Undecodable, match="single-object"):
        codec.decode_meta(damaged)


def test_an_unknown_fingerprint_is_named_and_its_meta_is_read_all_the_same() -> None:
    newer = b"\xc3\x01" + bytes(range(8)) + VALUES["VersionPromoted", "full"][10:]
    with pytest.raises(UnknownSchema, match="0001020304050607"):
        codec.decode(newer)
    assert codec.decode_meta(newer) == record(VersionPromoted)["meta"]


@pytest.mark.parametrize("offset", [0, 1, 8])
def test_meta_cut_short_is_undecodable(offset: int) -> None:
    meta_only = codec.encode("ModelRevived", record(EVENT_TYPES["regista.model.revived.v1"], "minimal"))
    for end in range(10, len(meta_only) - len("Fraud-Detector") - 1 - offset):
        with pytest.raises(Undecodable):
            codec.decode_meta(meta_only[:end])
