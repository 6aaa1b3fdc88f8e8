"""Which field of a record is not of its schema, and why: the slow half of the writer's check, run only on refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from regista.schemas.schema import (
    Array,
    Enumeration,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
    python_kind,
)
from regista.schemas.writer import Mismatch, as_double

_BITS = {"int": 31, "long": 63}


def explain(kind: Type, value: object, path: str = "") -> str | None:
    """The first thing wrong with ``value``, as ``path: what is expected, what is there``; None when nothing is."""
    match kind:
        case Record():
            return _record(kind, value, path)
        case Array(items):
            if not isinstance(value, (list, tuple)):
                return _wrong(path, "an array", value)
            return _first(explain(items, item, f"{path}[{index}]") for index, item in enumerate(value))
        case Map(values):
            return _map(values, value, path)
        case Union(branches):
            return _union(branches, value, path)
        case Enumeration(symbols=symbols):
            known = isinstance(value, str) and value in symbols
            return None if known else _wrong(path, f"one of {', '.join(symbols)}", value)
        case Fixed(size=size):
            right = type(value) is bytes and len(value) == size
            return None if right else _wrong(path, f"{size} bytes", value)
        case Primitive():
            return _primitive(kind, value, path)


def _record(kind: Record, value: object, path: str) -> str | None:
    if not isinstance(value, Mapping):
        return _wrong(path, f"a record {kind.short_name}", value)
    for field in kind.fields:
        below = f"{path}.{field.name}" if path else field.name
        if field.name not in value:
            return f"{below}: missing"
        if found := explain(field.type, value[field.name], below):
            return found
    known = {field.name for field in kind.fields}
    extra = next((key for key in value if key not in known), None)
    return None if extra is None else f"{path}.{extra}: no such field" if path else f"{extra}: no such field"


def _map(values: Type, value: object, path: str) -> str | None:
    if not isinstance(value, Mapping):
        return _wrong(path, "a map", value)
    for key, item in value.items():
        below = f"{path}[{key!r}]"
        if found := explain(Primitive("string"), key, f"{below} (the key)") or explain(values, item, below):
            return found
    return None


def _union(branches: tuple[Type, ...], value: object, path: str) -> str | None:
    found = [explain(branch, value, path) for branch in branches]
    if None in found:
        return None
    rest = [index for index, branch in enumerate(branches) if python_kind(branch) != "null"]
    if len(rest) == 1:
        return found[rest[0]]
    # a number out of bounds or a broken text says more than the list of branches
    told = next((reason for reason in found if reason and "not " in reason), None)
    return told or _wrong(path, " or ".join(python_kind(branch) for branch in branches), value)


def _primitive(kind: Primitive, value: object, path: str) -> str | None:
    match kind:
        case Primitive(logical="timestamp-micros"):
            return _time(value, path)
        case Primitive("null"):
            return None if value is None else _wrong(path, "null", value)
        case Primitive("boolean"):
            return None if isinstance(value, bool) else _wrong(path, "a boolean", value)
        case Primitive("double"):
            return _double(value, path)
        case Primitive("string"):
            return _string(value, path)
    if type(value) is not int:
        return _wrong(path, "an integer", value)
    bits = _BITS[kind.name]
    return None if -(2**bits) <= value < 2**bits else f"{path}: not within {bits + 1} bits: {value}"


def _time(value: object, path: str) -> str | None:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return _wrong(path, "a datetime with a zone", value)
    try:
        value.astimezone(UTC)
    except OverflowError:
        return _wrong(path, "a datetime of the years 1 to 9999 in UTC", value)
    return None


def _double(value: object, path: str) -> str | None:
    try:
        as_double(value)
    except Mismatch:
        return _wrong(path, "a finite number", value)
    return None


def _string(value: object, path: str) -> str | None:
    if type(value) is not str:
        return _wrong(path, "a text", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"{path}: not Unicode text: {error.reason} at character {error.start}"
    return None


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)


def _wrong(path: str, expected: str, value: object) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{path or 'the record'}: expected {expected}, got {type(value).__name__} {shown}"
