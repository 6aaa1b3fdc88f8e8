"""Avro schemas as a tree of plain values: the part of Avro that events may use.

Left out on purpose, and refused when read: recursive types (depth is bounded by the schema), aliases of the
names of types, ``bytes`` and ``float`` (a digest is ``fixed``, a number ``double``), every logical type but
``timestamp-micros``, and unions whose branches Python could not tell apart. Array items take at least one byte,
so a declared length can never make a reader allocate more than the value's own size.

Source: Apache Avro 1.12 specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from regista.schemas.errors import SchemaError

Document: TypeAlias = Any
"""A schema as JSON."""
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "double", "string"})
TIMESTAMP: Final = "timestamp-micros"


class Absent(Enum):
    """The type of ``NO_DEFAULT``."""

    NO_DEFAULT = "no default"


NO_DEFAULT: Final = Absent.NO_DEFAULT
"""A field without a default; None would be the default null."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """null, boolean, int, long, double, string; ``logical`` is ``timestamp-micros`` on a long, or None."""

    name: str
    logical: str | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """Exactly ``size`` bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Enumeration:
    """One of ``symbols``. A reader that does not know a symbol takes ``default``, if there is one."""

    name: str
    symbols: tuple[str, ...]
    default: str | None
    doc: str | None


@dataclass(frozen=True, slots=True)
class Array:
    """Any number of ``items``."""

    items: Type


@dataclass(frozen=True, slots=True)
class Map:
    """Strings to ``values``; the order given is kept."""

    values: Type


@dataclass(frozen=True, slots=True)
class Union:
    """One of ``branches``."""

    branches: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record. ``aliases`` are its names in earlier revisions."""

    name: str
    type: Type
    default: Any
    aliases: tuple[str, ...]
    doc: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """Fields in their order on the wire. ``name`` includes the namespace."""

    name: str
    fields: tuple[Field, ...]
    doc: str | None

    @property
    def short_name(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(".")[2]


Type: TypeAlias = Primitive | Fixed | Enumeration | Array | Map | Union | Record


def parse(document: Document) -> Type:
    """The schema that a JSON document describes.

    Raises:
        SchemaError: when it is not Avro, or uses what events may not use.
    """
    try:
        return _parse(document, "", {})
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"not an Avro schema: {error!r}"
        raise SchemaError(msg) from error


def python_kind(kind: Type) -> str:
    """How Python tells the branches of a union apart. Two branches of one kind cannot stand in one union."""
    match kind:
        case Primitive(logical="timestamp-micros"):
            return "datetime"
        case Primitive("null" | "boolean" | "double" as name):
            return name
        case Primitive("int" | "long"):
            return "integer"
        case Primitive("string") | Enumeration():
            return "text"
        case Record() | Map():
            return "mapping"
        case Array():
            return "sequence"
        case Fixed():
            return "bytes"
    msg = "a union cannot stand directly in a union"
    raise SchemaError(msg)


def _parse(document: Document, namespace: str, known: dict[str, Type | None]) -> Type:
    if isinstance(document, str):
        return Primitive(document) if document in PRIMITIVES else _named(document, namespace, known)
    if isinstance(document, list):
        return _union(tuple(_parse(branch, namespace, known) for branch in document))
    kind = document["type"]
    match kind:
        case "record":
            return _record(document, namespace, known)
        case "enum":
            return _enumeration(document, namespace, known)
        case "fixed":
            return _keep(known, Fixed(_full_name(document, namespace, known), int(document["size"])))
        case "array":
            return _array(_parse(document["items"], namespace, known))
        case "map":
            return Map(_parse(document["values"], namespace, known))
    logical = document.get("logicalType")
    if logical is None:
        return _parse(kind, namespace, known)
    if (kind, logical) != ("long", TIMESTAMP):
        msg = f"logical type {logical} on {kind} is not among those that events use"
        raise SchemaError(msg)
    return Primitive("long", TIMESTAMP)


def _array(items: Type) -> Array:
    if minimum_size(items) == 0:
        msg = "array items must take at least one byte"
        raise SchemaError(msg)
    return Array(items)


def _named(name: str, namespace: str, known: Mapping[str, Type | None]) -> Type:
    full = name if "." in name else f"{namespace}.{name}"
    found = known.get(full)
    if found is None:
        msg = f"{full} refers to itself" if full in known else f"{full} is not a type that events use"
        raise SchemaError(msg)
    return found


def _full_name(document: Mapping[str, Any], namespace: str, known: dict[str, Type | None]) -> str:
    if "aliases" in document:
        msg = f"{document['name']}: types have no aliases; they are never renamed"
        raise SchemaError(msg)
    name = document["name"]
    full = name if "." in name else f"{document.get('namespace', namespace)}.{name}"
    if full in known:
        msg = f"{full} is defined twice"
        raise SchemaError(msg)
    known[full] = None
    return str(full)


def _keep(known: dict[str, Type | None], kind: Fixed | Enumeration | Record) -> Type:
    known[kind.name] = kind
    return kind


def _record(document: Mapping[str, Any], namespace: str, known: dict[str, Type | None]) -> Type:
    name = _full_name(document, namespace, known)
    inner = name.rpartition(".")[0]
    fields = tuple(
        Field(
            field["name"],
            _parse(field["type"], inner, known),
            field.get("default", NO_DEFAULT),
            tuple(field.get("aliases", ())),
            field.get("doc"),
        )
        for field in document["fields"]
    )
    if len({field.name for field in fields}) != len(fields):
        msg = f"{name} has two fields of one name"
        raise SchemaError(msg)
    return _keep(known, Record(name, fields, document.get("doc")))


def _enumeration(document: Mapping[str, Any], namespace: str, known: dict[str, Type | None]) -> Type:
    name = _full_name(document, namespace, known)
    symbols = tuple(document["symbols"])
    if len(set(symbols)) != len(symbols) or not 0 < len(symbols) <= 64:
        msg = f"{name} needs 1 to 64 different symbols"
        raise SchemaError(msg)
    default = document.get("default")
    if default is not None and default not in symbols:
        msg = f"{name}: the default {default} is no symbol"
        raise SchemaError(msg)
    return _keep(known, Enumeration(name, symbols, default, document.get("doc")))


def _union(branches: tuple[Type, ...]) -> Type:
    kinds = [python_kind(branch) for branch in branches]
    if len(set(kinds)) != len(kinds):
        msg = f"a union whose branches cannot be told apart: {', '.join(kinds)}"
        raise SchemaError(msg)
    return Union(branches)


def minimum_size(kind: Type) -> int:
    """The least bytes that a value of this type takes."""
    match kind:
        case Primitive("null"):
            return 0
        case Primitive("double"):
            return 8
        case Fixed(size=size):
            return size
        case Record(fields=fields):
            return sum(minimum_size(field.type) for field in fields)
    return 1
