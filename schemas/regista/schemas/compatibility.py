"""Rules that every event schema keeps, and that a new revision keeps towards every older one.

Events are read for ever and by readers of any age, so compatibility is full and transitive: the newest schema reads
what every older one wrote, and every older one reads what the newest writes. Fingerprints do not see docs, defaults,
aliases and logical types, so schema registries' usual checks are not enough; these rules look at the whole schema.

Commands, their results and metrics keep the same rules: pipelines and servers of any age send them. They carry no
``meta``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias

from regista.schemas.schema import (
    NO_DEFAULT,
    Array,
    Enumeration,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
)

NAMESPACE: Final = "regista.events"
_WITHOUT_META: Final = frozenset({"regista.commands", "regista.metrics"})
META: Final = "regista.events.Meta"
_META_ENUM: Final = "regista.events.Identity"
_WIDENED: Final = frozenset({("int", "long"), ("int", "double")})
"""Promotions of Avro that lose nothing. A long does not fit a double."""
Layout: TypeAlias = str | tuple["Layout | int | str | None", ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One schema file to judge."""

    file: str
    revision: int
    fingerprint: str
    record: Record
    released: bool = False


def judge(candidates: Iterable[Candidate]) -> list[str]:
    """Every rule that the schemas break, each with the file it is about; empty when all is well."""
    families: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        families[candidate.record.short_name].append(candidate)
    problems: list[str] = []
    newest = []
    for _, family in sorted(families.items()):
        family.sort(key=lambda candidate: candidate.revision)
        problems += _family(family)
        newest.append(family[-1])
    problems += _shared(newest)
    if len({_namespace(candidate.record) for candidate in newest}) > 1:
        problems += [f"{one.file}: {_namespace(one.record)} is not the namespace of all schemas here" for one in newest]
    everything = [candidate for family in families.values() for candidate in family]
    prints: dict[str, str] = {}
    for candidate in everything:
        other = prints.setdefault(candidate.fingerprint, candidate.file)
        if other != candidate.file:
            problems.append(f"{candidate.file}: same fingerprint as {other}: it changes nothing that values show")
    return problems


def _family(family: list[Candidate]) -> Iterator[str]:
    numbers = [candidate.revision for candidate in family]
    if numbers != list(range(1, len(family) + 1)):
        yield f"{family[-1].file}: revisions are {numbers}, and should count from 1 without a gap"
    for candidate in family:
        if not candidate.released:
            yield from (f"{candidate.file}: {problem}" for problem in lint(candidate.record))
    for older, newer in combinations(family, 2):
        if not newer.released:
            yield from (
                f"{newer.file}: {problem} (against {older.file})" for problem in compare(older.record, newer.record)
            )


def lint(record: Record) -> Iterator[str]:
    """The rules for one schema alone."""
    if _namespace(record) not in {NAMESPACE, *_WITHOUT_META}:
        yield f"{record.name} is not in the namespace {NAMESPACE}"
    first = record.fields[0] if record.fields else None
    has_meta = first is not None and first.name == "meta" and isinstance(first.type, Record) and first.type.name == META
    if not has_meta and _namespace(record) not in _WITHOUT_META:
        yield "the first field is not meta"
    seen: set[str] = set()
    for path, kind in _walk(record, record.short_name):
        if not isinstance(kind, Record | Enumeration) or kind.name in seen:
            continue
        seen.add(kind.name)
        if isinstance(kind, Enumeration):
            if kind.default is None and kind.name != _META_ENUM:
                yield f"{path}: the enum {kind.name} has no default"
            continue
        if not kind.doc:
            yield f"{path}: the record {kind.name} has no doc"
        for field in kind.fields:
            yield from _field(f"{path}.{field.name}", field, frozen=kind.name == META)


def _namespace(record: Record) -> str:
    return record.name.rpartition(".")[0]


def _field(path: str, field: Field, *, frozen: bool) -> Iterator[str]:
    if not field.doc:
        yield f"{path}: the field has no doc"
    if isinstance(field.type, Union) and Primitive("null") in field.type.branches:
        if field.type.branches[0] != Primitive("null"):
            yield f"{path}: null is not the first branch"
        # Meta never changes, so its fields never need a default
        if not frozen and field.default is not None:
            yield f"{path}: may be null, and its default is not null"
    if not frozen and isinstance(field.type, Array | Map) and field.default not in ([], {}):
        yield f"{path}: an array or map without an empty default"


def compare(older: Record, newer: Record) -> Iterator[str]:
    """The rules for a revision towards an older one of the same record."""
    if older.name != newer.name:
        yield f"the record {older.name} became {newer.name}"
    first, other = older.fields[0].type, newer.fields[0].type if newer.fields else None
    if other is None or layout(first) != layout(other):
        yield "meta has another layout: it is frozen"
    yield from _records(older, newer, older.short_name)


def _records(older: Record, newer: Record, path: str) -> Iterator[str]:
    if older.name != newer.name:
        yield f"{path}: the type {older.name} became {newer.name}"
    before = {field.name: field for field in older.fields}
    taken: set[str] = set()
    added: list[tuple[int, Field]] = []
    for index, field in enumerate(newer.fields):
        name = next((name for name in (field.name, *field.aliases) if name in before), None)
        if name is None:
            added.append((index, field))
            continue
        taken.add(name)
        yield from _kept(before[name], field, f"{path}.{field.name}")
    removed = {index: field for index, field in enumerate(older.fields) if field.name not in taken}
    for field in removed.values():
        if field.default is NO_DEFAULT:
            yield f"{path}.{field.name}: removed, and older readers have no default for it"
    for index, field in added:
        yield from _added(field, removed.get(index), f"{path}.{field.name}")


def _kept(older: Field, newer: Field, path: str) -> Iterator[str]:
    """A field that both have, maybe under another name."""
    if older.name != newer.name and older.default is NO_DEFAULT:
        yield f"{path}: older readers look for {older.name} and have no default for it"
    if newer.default is NO_DEFAULT and older.default is not NO_DEFAULT:
        yield f"{path}: lost its default"
    if missing := set(older.aliases) - set(newer.aliases):
        yield f"{path}: lost the alias {', '.join(sorted(missing))}"
    yield from _types(older.type, newer.type, path)


def _added(field: Field, replaced: Field | None, path: str) -> Iterator[str]:
    """A new field, and the one that stood in its place and is gone."""
    if field.default is NO_DEFAULT:
        yield f"{path}: new, and without a default"
    if replaced is not None and layout(replaced.type) == layout(field.type):
        yield f"{path}: stands where {replaced.name} stood: a rename needs an alias"


def _types(older: Type, newer: Type, path: str) -> Iterator[str]:
    match older, newer:
        case Record(), Record():
            yield from _records(older, newer, path)
        case Array(), Array():
            yield from _types(older.items, newer.items, f"{path}[]")
        case Map(), Map():
            yield from _types(older.values, newer.values, f"{path}[]")
        case Union(), Union() if len(older.branches) == len(newer.branches):
            for branch, other in zip(older.branches, newer.branches, strict=True):
                yield from _types(branch, other, path)
        case Enumeration(), Enumeration():
            yield from _enumerations(older, newer, path)
        case Primitive(), Primitive() if older.logical != newer.logical:
            yield f"{path}: the logical type {older.logical or 'none'} became {newer.logical or 'none'}"
        case Primitive(), Primitive() if (older.name, newer.name) in _WIDENED:
            pass
        case _ if layout(older) != layout(newer):
            yield f"{path}: the type {layout(older)} became {layout(newer)}"


def _enumerations(older: Enumeration, newer: Enumeration, path: str) -> Iterator[str]:
    if older.name != newer.name:
        yield f"{path}: the type {older.name} became {newer.name}"
    if newer.symbols[: len(older.symbols)] != older.symbols:
        yield f"{path}: an enum may only grow at its end"
    elif len(newer.symbols) > len(older.symbols) and older.default is None:
        yield f"{path}: an enum grew, and older readers have no default for the new symbols"
    if newer.default != older.default:
        yield f"{path}: the default {older.default} of the enum became {newer.default}"


def _shared(newest: Iterable[Candidate]) -> Iterator[str]:
    """A type that several schemas use is the same in the newest of each: generated code holds it once."""
    known: dict[str, tuple[str, Layout]] = {}
    for candidate in newest:
        named = {
            kind.name: kind for _, kind in _walk(candidate.record, "") if isinstance(kind, Record | Enumeration | Fixed)
        }
        for name, kind in sorted(named.items()):
            file, there = known.setdefault(name, (candidate.file, layout(kind)))
            if layout(kind) != there:
                yield f"{candidate.file}: {name} is not the same as in {file}"


def layout(kind: Type) -> Layout:
    """What a type is on the wire, with names, symbols and defaults, without docs. Comparable and printable."""
    match kind:
        case Primitive(name, logical):
            return f"{name} {logical}" if logical else name
        case Fixed(name, size):
            return ("fixed", name, size)
        case Enumeration(name, symbols, default):
            return ("enum", name, symbols, default)
        case Array(items):
            return ("array", layout(items))
        case Map(values):
            return ("map", layout(values))
        case Union(branches):
            return tuple(layout(branch) for branch in branches)
        case Record(name, fields):
            parts = tuple((f.name, layout(f.type), repr(f.default), f.aliases) for f in fields)
            return ("record", name, parts)


def _walk(kind: Type, path: str) -> Iterator[tuple[str, Type]]:
    """A type and all inside it, each with its path."""
    yield path, kind
    match kind:
        case Record(fields=fields):
            for field in fields:
                yield from _walk(field.type, f"{path}.{field.name}")
        case Array(inner) | Map(inner):
            yield from _walk(inner, f"{path}[]")
        case Union(branches):
            for branch in branches:
                yield from _walk(branch, path)
