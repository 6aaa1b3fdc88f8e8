"""The event schemas are for ever: locked, compatible, the same as the dataclasses, the same bytes as ever."""

from __future__ import annotations

import io
import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import golden_events
from tests.support.event_strategies import instances, metas
from tests.support.golden_events import FOLDER, KINDS

from regista.domain.events import EVENT_TYPES, Event, Meta
from regista.domain.records import TYPE_OF, from_record, meta_from_record, meta_to_record, to_record
from regista.schemas import codec, lock
from regista.schemas.catalogue import shipped
from regista.schemas.compatibility import layout
from regista.schemas.schema import Array, Enumeration, Fixed, Map, Primitive, Record, Type
from regista.schemas.schema import Union as AvroUnion

SCHEMAS = Path(lock.__file__).parent
GOLDEN = sorted(FOLDER.glob("*.json"))
SCALAR = ("null", "boolean", "long", "double", "string")


def newest(name: str) -> Record:
    return shipped().record(shipped().newest(name))


@cache
def parsed(name: str) -> Any:
    file = files("regista.schemas") / "avro" / shipped().newest(name).file
    return fastavro.parse_schema(json.loads(file.read_text(encoding="utf-8")))


def test_the_lock_holds_and_every_compatibility_rule_is_kept() -> None:
    assert lock.check(SCHEMAS) == []


def test_every_event_has_a_schema_and_every_schema_an_event() -> None:
    assert set(shipped().names) == set(TYPE_OF) == {cls.__name__ for cls in EVENT_TYPES.values()}


def agree(hint: Any, schema: Type, path: str) -> Iterator[str]:
    """Where a type and a schema differ."""
    if is_dataclass(hint):
        yield from records_agree(cast("type[Any]", hint), schema, path)
        return
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        right = isinstance(schema, Array) and len(arguments) == 2 and arguments[1] is ...
        yield from agree(arguments[0], schema.items, f"{path}[]") if right else [f"{path}: {hint} is no {schema}"]  # type: ignore[union-attr]  # told by right
    elif origin is Mapping:
        right = isinstance(schema, Map) and arguments[0] is str
        yield from agree(arguments[1], schema.values, f"{path}[]") if right else [f"{path}: {hint} is no {schema}"]  # type: ignore[union-attr]  # told by right
    elif origin in (Union, types.UnionType):
        yield from unions_agree(arguments, schema, path)
    elif origin is Literal:
        if not isinstance(schema, Enumeration) or schema.symbols != arguments:
            yield f"{path}: {hint} is no {schema}"
    else:
        leaves: dict[Any, Type] = {
            str: Primitive("string"),
            int: Primitive("long"),
            float: Primitive("double"),
            bool: Primitive("boolean"),
            datetime: Primitive("long", "timestamp-micros"),
            bytes: Fixed("regista.events.Sha256", 32),
        }
        if leaves[hint] != schema:
            yield f"{path}: {hint} is no {schema}"


def unions_agree(arguments: tuple[Any, ...], schema: Type, path: str) -> Iterator[str]:
    if set(arguments) == {bool, int, float, str, type(None)}:
        if layout(schema) != SCALAR:
            yield f"{path}: a scalar is no {schema}"
        return
    some = [argument for argument in arguments if argument is not type(None)]
    right = isinstance(schema, AvroUnion) and len(some) == 1 and schema.branches[0] == Primitive("null")
    if not right or len(cast("AvroUnion", schema).branches) != 2:
        yield f"{path}: {arguments} is no {schema}"
    else:
        yield from agree(some[0], cast("AvroUnion", schema).branches[1], path)


def records_agree(cls: type[Any], schema: Type, path: str) -> Iterator[str]:
    if not isinstance(schema, Record) or schema.short_name != cls.__name__:
        yield f"{path}: {cls.__name__} is no {schema}"
        return
    below = schema.fields
    if issubclass(cls, Event):
        yield from agree(Meta, schema.fields[0].type, "meta")
        below = schema.fields[1:]
    if [field.name for field in fields(cls)] != [field.name for field in below]:
        yield f"{path}: {[f.name for f in fields(cls)]} are not {[f.name for f in below]}"
        return
    hints = get_type_hints(cls)
    for field in below:
        yield from agree(hints[field.name], field.type, f"{path}.{field.name}")


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.__name__)
def test_dataclass_and_schema_agree_in_names_order_types_and_nullability(cls: type[Event]) -> None:
    assert list(records_agree(cls, newest(cls.__name__), cls.__name__)) == []


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_event_survives_the_way_to_bytes_and_back_and_any_avro_library_reads_the_same(
    cls: type[Event], data: st.DataObject
) -> None:
    event, meta = data.draw(instances(cls)), data.draw(metas())
    record = {"meta": meta_to_record(meta), **to_record(event)}
    value = codec.encode(cls.__name__, record)
    decoded = codec.decode(value)
    assert decoded == (cls.__name__, record)
    assert from_record(cls.TYPE, decoded.record) == event
    assert meta_from_record(decoded.record["meta"]) == meta
    assert meta_from_record(codec.decode_meta(value)) == meta
    assert repr(decoded.record) == repr(record)  # 1, 1.0 and True are equal; they must also be the same
    schema = parsed(cls.__name__)
    assert fastavro.schemaless_reader(io.BytesIO(value[codec.HEADER :]), schema, None) == record
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, record)
    assert body.getvalue() == value[codec.HEADER :]


def test_every_revision_has_a_full_and_a_minimal_golden_file() -> None:
    entries = lock.read(SCHEMAS).values()
    wanted = {f"{entry.record}.{entry.revision}.{kind}.json" for entry in entries for kind in KINDS}
    assert wanted == {path.name for path in GOLDEN}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_values_are_read_and_written_as_ever(path: Path) -> None:
    golden = golden_events.load(path)
    decoded = codec.decode(golden.value)
    assert decoded.name == golden.name
    assert codec.decode_meta(golden.value) == golden.record["meta"]
    entry = shipped().newest(golden.name)
    if entry.revision == golden.revision:
        assert repr(decoded.record) == repr(golden.record)
        assert codec.encode(golden.name, golden.record) == golden.value
    else:
        # an older revision: readable for ever, as the newest event
        assert from_record(TYPE_OF[golden.name], decoded.record)


@pytest.mark.parametrize("path", [path for path in GOLDEN if ".full." in path.name], ids=lambda path: path.stem)
def test_full_golden_values_leave_nothing_out(path: Path) -> None:
    golden = golden_events.load(path)
    entry = next(e for e in lock.read(SCHEMAS).values() if (e.record, e.revision) == (golden.name, golden.revision))
    assert list(gaps(shipped().record(entry), golden.record, golden.name)) == []


def gaps(schema: Type, value: Any, path: str) -> Iterator[str]:
    """The optional parts that a value does not have; of an array the first item counts."""
    match schema:
        case Record(fields=below):
            for field in below:
                yield from gaps(field.type, value[field.name], f"{path}.{field.name}")
        case Array(items) if value and not isinstance(items, AvroUnion):
            yield from gaps(items, value[0], f"{path}[0]")
        case AvroUnion((_, some)) if value is not None:
            yield from gaps(some, value, path)
        case Map(AvroUnion(branches)) if len({type(item) for item in value.values()}) == len(branches):
            pass
        case Map(Primitive()) | Array() if value:
            pass
        case AvroUnion() | Map() | Array():
            yield f"{path}: nothing there"


def test_missing_golden_files_are_written_and_those_there_left_alone(tmp_path: Path) -> None:
    written = golden_events.write_missing(tmp_path)
    assert {path.name for path in written} >= {path.name for path in GOLDEN if path.name.split(".")[1] == "1"}
    kept, removed = written[0], written[1]
    kept.write_text("kept", encoding="utf-8")
    removed.unlink()
    assert golden_events.write_missing(tmp_path) == [removed]
    assert kept.read_text(encoding="utf-8") == "kept"
