"""Old values read as the newest revision: the same as any Avro library would, for every change that is allowed."""

from __future__ import annotations

import copy
import io
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest

from regista.schemas.catalogue import as_record
from regista.schemas.errors import SchemaError
from regista.schemas.reader import compile_reader
from regista.schemas.schema import parse
from regista.schemas.writer import compile_writer

Json = dict[str, Any]
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green", "blue"], "default": "red"}
POINT = {
    "type": "record",
    "name": "Point",
    "fields": [{"name": "x", "type": "long"}, {"name": "y", "type": "long", "default": 0}],
}
OLD: Json = {
    "type": "record",
    "name": "Thing",
    "namespace": "test",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "count", "type": "int"},
        {"name": "share", "type": "int"},
        {"name": "gone", "type": {"type": "map", "values": {"type": "array", "items": POINT}}, "default": {}},
        {"name": "colour", "type": COLOUR},
        {"name": "at", "type": ["null", "test.Point"], "default": None},
        {"name": "when", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "key", "type": {"type": "fixed", "name": "Key", "size": 4}},
        {"name": "scalars", "type": {"type": "map", "values": ["null", "boolean", "long", "double", "string"]}},
    ],
}
VALUE: Json = {
    "name": "über",
    "count": -3,
    "share": 7,
    "gone": {"a": [{"x": 1, "y": 2}, {"x": -1, "y": 300}], "b": []},
    "colour": "blue",
    "at": {"x": 5, "y": 6},
    "when": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "key": b"\x00\xff\x01\x02",
    "scalars": {"a": None, "b": True, "c": 1, "d": 1.0, "e": "x"},
}


def changed(*, drop: tuple[str, ...] = (), **fields: Json | None) -> Json:
    """OLD with fields replaced, added at the end, or dropped."""
    new = copy.deepcopy(OLD)
    new["fields"] = [fields.pop(f["name"], None) or f for f in new["fields"] if f["name"] not in drop]
    new["fields"] += [{"name": name, **(field or {})} for name, field in fields.items()]
    return new


POINTS_FIRST = {
    "name": "gone",
    "type": {
        "type": "map",
        "values": {
            "type": "array",
            "items": {**POINT, "fields": [*POINT["fields"][:1], {"name": "z", "type": "double", "default": 1.5}]},
        },
    },
}
CHANGES = {
    "nothing": OLD,
    "a field left out": changed(drop=("share", "scalars")),
    "a record and the map around it left out": changed(drop=("gone", "at")),
    "fields with every kind of default": changed(
        text={"type": "string", "default": "none"},
        number={"type": "double", "default": 2.0},
        nothing={"type": ["null", "string"], "default": None},
        some={"type": ["string", "null"], "default": "some"},
        items={"type": {"type": "array", "items": "long"}, "default": [1, 2]},
        pairs={"type": {"type": "map", "values": "string"}, "default": {"a": "b"}},
        flag={"type": "boolean", "default": True},
        shade={"type": "test.Colour", "default": "green"},
    ),
    "a rename with an alias": changed(drop=("name",), title={"type": "string", "aliases": ["name"]}),
    "wider numbers": changed(count={"name": "count", "type": "long"}, share={"name": "share", "type": "double"}),
    "a field made optional": changed(name={"name": "name", "type": ["null", "string"]}),
    "an enum that grew": changed(colour={"name": "colour", "type": {**COLOUR, "symbols": ["red", "green", "blue", "black"]}}),
    "an enum that does not know a symbol": changed(colour={"name": "colour", "type": {**COLOUR, "symbols": ["red", "green"]}}),
    "another order": {**OLD, "fields": OLD["fields"][:3] + OLD["fields"][:2:-1][::-1]},
    "a change inside a map of arrays": changed(gone=POINTS_FIRST),
}  # fmt: skip


@pytest.mark.parametrize("new", CHANGES.values(), ids=CHANGES.keys())
def test_an_old_value_reads_as_any_avro_library_reads_it(new: Json) -> None:
    body = compile_writer(as_record(OLD))(VALUE)
    record, end = compile_reader(as_record(OLD), as_record(new))(b"header" + body, 6)
    assert end == 6 + len(body)
    expected: Any = fastavro.schemaless_reader(
        io.BytesIO(body), fastavro.parse_schema(copy.deepcopy(OLD)), fastavro.parse_schema(copy.deepcopy(new))
    )
    assert record == expected
    assert list(record) == [field["name"] for field in new["fields"]]
    assert {name: type(item) for name, item in record.items()} == {name: type(item) for name, item in expected.items()}


def test_defaults_are_not_shared_between_records() -> None:
    read = compile_reader(as_record(OLD), as_record(CHANGES["fields with every kind of default"]))
    body = compile_writer(as_record(OLD))(VALUE)
    first, _ = read(body, 0)
    first["items"].append(3)
    first["pairs"]["c"] = "d"
    second, _ = read(body, 0)
    assert (second["items"], second["pairs"]) == ([1, 2], {"a": "b"})


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (changed(extra={"type": "string"}), "extra has no default"),
        (changed(name={"name": "name", "type": "long"}), "cannot be read as"),
        (changed(when={"name": "when", "type": "long"}), "cannot be read as"),
        (changed(count={"name": "count", "type": "string"}), "cannot be read as"),
        (changed(key={"name": "key", "type": {"type": "fixed", "name": "Key", "size": 5}}), "cannot be read as"),
        (changed(at={"name": "at", "type": "test.Point"}), "cannot be read as"),
        (changed(colour={"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["red"]}}), "does not know"),
        ({**OLD, "name": "Other"}, "cannot be read as"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_the_newest_is_said_before_a_value_is_read(new: Json, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        compile_reader(as_record(OLD), as_record(new))


@pytest.mark.parametrize(
    "document",
    [
        "bytes",
        "float",
        "test.Unknown",
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "test.Empty", "fields": []}},
        {"type": "int", "logicalType": "date"},
        {"type": "string", "logicalType": "uuid"},
        ["long", "int"],
        ["string", {"type": "enum", "name": "test.E", "symbols": ["a"]}],
        ["null", ["string"]],
        {"type": "enum", "name": "test.E", "symbols": ["a", "a"]},
        {"type": "enum", "name": "test.E", "symbols": ["a"], "default": "b"},
        {"type": "record", "name": "test.R", "fields": [{"name": "again", "type": ["null", "test.R"]}]},
        {"type": "record", "name": "test.R", "aliases": ["test.Q"], "fields": []},
        {"type": "record", "name": "test.R", "fields": [{"name": "a", "type": "long"}, {"name": "a", "type": "long"}]},
        {"name": "test.R"},
        7,
    ],
)
def test_what_events_may_not_use_is_refused(document: Any) -> None:
    with pytest.raises(SchemaError):
        parse(document)
