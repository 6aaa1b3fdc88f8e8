"""Fields left out cost nothing else: what is kept reads the same, and damage to the frame is still seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.event_strategies import events, metas
from tests.support.sample_events import example

from regista.domain.events import Event, Meta, VersionRegistered
from regista.domain.records import meta_to_record, to_record
from regista.schemas.catalogue import shipped
from regista.schemas.codec import Codec, decode, encode
from regista.schemas.errors import SchemaError, Undecodable
from regista.schemas.pruning import without
from regista.schemas.schema import Array, Map, Record, Type, Union


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
