"""Schemas with less in them: what a reader that needs little of an event reads it as."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from regista.schemas.errors import SchemaError
from regista.schemas.reader import TIME_AS_NUMBER
from regista.schemas.schema import Array, Map, Record, Type, Union


def without(record: Record, paths: Collection[str]) -> Record:
    """The record without the fields at these paths; ``artifact.files.size`` goes through lists, maps and unions.

    Raises:
        SchemaError: a path leads to no field.
    """
    here = {path for path in paths if "." not in path}
    deeper: dict[str, set[str]] = {}
    for path in paths:
        name, dot, rest = path.partition(".")
        if dot:
            deeper.setdefault(name, set()).add(rest)
    if unknown := (here | deeper.keys()) - {field.name for field in record.fields}:
        msg = f"{record.name} has no field {', '.join(sorted(unknown))}"
        raise SchemaError(msg)
    kept = (field for field in record.fields if field.name not in here)
    fields = (replace(f, type=_inside(f.type, deeper[f.name])) if f.name in deeper else f for f in kept)
    return replace(record, fields=tuple(fields))


def with_time_as_number(record: Record, path: str) -> Record:
    """The record with the time at this path, ``meta.time``, read as microseconds since 1970.

    Raises:
        SchemaError: the path leads through records to no field.
    """
    name, _, rest = path.partition(".")
    for index, field in enumerate(record.fields):
        if field.name == name:
            inner = with_time_as_number(field.type, rest) if isinstance(field.type, Record) else TIME_AS_NUMBER
            changed = replace(field, type=inner)
            return replace(record, fields=(*record.fields[:index], changed, *record.fields[index + 1 :]))
    msg = f"{record.name} has no field {name}"
    raise SchemaError(msg)


def _inside(kind: Type, paths: Collection[str]) -> Type:
    match kind:
        case Record():
            return without(kind, paths)
        case Array(items):
            return Array(_inside(items, paths))
        case Map(values):
            return Map(_inside(values, paths))
        case Union(branches):
            return Union(tuple(_inside(b, paths) if isinstance(b, Record) else b for b in branches))
    msg = f"no fields inside, to leave out {', '.join(sorted(paths))}"
    raise SchemaError(msg)
