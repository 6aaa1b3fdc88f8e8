"""Fields left out cost nothing else: what is kept reads the same, and damage to the frame is still seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.event_strategies import events, metas
from tests.support.sample_events import example

from regista.domain.events import Event, Meta, ModelRevived, VersionRegistered
from regista.domain.records import meta_to_record, to_record
from regista.schemas.catalogue import shipped
from regista.schemas.codec import Codec, decode, decode_meta, decode_stamp, encode
from regista.schemas.errors import SchemaError, Undecodable
from regista.schemas.pruning import with_time_as_number, without
from regista.schemas.schema import Array, Map, Record, Type, Union
from regista.schemas.writer import EPOCH, varint

NUMBERED = Codec(shipped(), lambda record: with_time_as_number(record, "meta.time"))


def value_of(meta: Meta, event: Event) -> bytes:
    return encode(type(event).__name__, {"meta": meta_to_record(meta), **to_record(event)})


def paths_of(kind: Type) -> Iterator[str]:
    match kind:
        case Record(fields=fields):
            for field in fields:
                yield field.name
                yield from (f"{field.name}.{inner}" for inner in paths_of(field.type))
        case Array(inner) | Map(inner):
            yield from paths_of(inner)
        case Union(branches):
            for branch in branches:
                yield from paths_of(branch)


def removed(record: Any, paths: Collection[str]) -> Any:
    """The same by hand, on what was read."""
    if isinstance(record, list):
        return [removed(item, paths) for item in record]
    if not isinstance(record, Mapping):
        return record
    inner = {name: {p.partition(".")[2] for p in paths if p.startswith(f"{name}.")} for name in record}
    return {
        name: removed(item, inner[name]) if inner[name] else item for name, item in record.items() if name not in paths
    }


@settings(deadline=None)  # each example compiles a reader of its own
@given(st.data(), metas(), events())
def test_the_fields_kept_read_as_if_nothing_were_left_out(data: st.DataObject, meta: Meta, event: Event) -> None:
    name = type(event).__name__
    newest = shipped().record(shipped().newest(name))
    paths = data.draw(st.sets(st.sampled_from(sorted(paths_of(newest))), max_size=12))
    value = value_of(meta, event)
    assert Codec(shipped(), lambda record: without(record, paths)).decode(value) == (
        name,
        removed(decode(value).record, paths),
    )


def test_a_value_cut_inside_what_is_left_out_is_undecodable() -> None:
    value = value_of(*example(VersionRegistered, "full"))
    nothing = Codec(shipped(), lambda record: without(record, [field.name for field in record.fields]))
    assert nothing.decode(value).record == {}
    for length in range(10, len(value)):
        with pytest.raises(Undecodable):
            nothing.decode(value[:length])


@pytest.mark.parametrize("path", ["colour", "artifact.colour", "artifact.size.unit", "metrics.auc"])
def test_a_path_that_leads_to_no_field_is_refused(path: str) -> None:
    newest = shipped().record(shipped().newest("VersionRegistered"))
    with pytest.raises(SchemaError, match="no field"):
        without(newest, [path])


@given(metas(), events())
def test_a_time_reads_as_the_number_that_it_is(meta: Meta, event: Event) -> None:
    read, whole = NUMBERED.decode(value_of(meta, event)).record, decode(value_of(meta, event)).record
    assert EPOCH + read["meta"]["time"] * timedelta(microseconds=1) == meta.time
    assert read == whole | {"meta": whole["meta"] | {"time": read["meta"]["time"]}}


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_reads_as_a_time_only_where_it_is_one(micros: int) -> None:
    value = value_of(*example(ModelRevived, "full"))
    moved = value[:10] + long(micros) + value[10 + len(long(decode_stamp(value)["time"])) :]
    try:
        expected = decode(moved).record["meta"]["time"]
    except Undecodable:
        with pytest.raises(Undecodable):
            decode_stamp(moved)
    else:
        assert EPOCH + decode_stamp(moved)["time"] * timedelta(microseconds=1) == expected


@given(metas(), events())
def test_a_stamp_says_what_the_whole_meta_says(meta: Meta, event: Event) -> None:
    value = value_of(meta, event)
    stamp, whole = decode_stamp(value), decode_meta(value)
    assert EPOCH + stamp.pop("time") * timedelta(microseconds=1) == whole["time"]
    assert stamp == {name: whole[name] for name in ("actor", "command_id", "command_digest", "traceparent")}


def test_a_value_cut_inside_its_meta_has_no_stamp() -> None:
    meta, event = example(ModelRevived, "full")
    value = value_of(meta, event)
    for length in range(len(value)):
        try:
            decode_meta(value[:length])
        except Undecodable:
            with pytest.raises(Undecodable):
                decode_stamp(value[:length])


@pytest.mark.parametrize("path", ["colour", "meta.colour"])
def test_a_path_to_no_time_is_refused(path: str) -> None:
    newest = shipped().record(shipped().newest("VersionRegistered"))
    with pytest.raises(SchemaError, match="no field"):
        with_time_as_number(newest, path)


def long(number: int) -> bytes:
    """As Avro writes a long."""
    return varint((number << 1 ^ number >> 63) & 2**64 - 1)
