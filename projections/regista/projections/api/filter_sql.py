"""From a filter to a condition over ``versions``: every name is ours, every value bound.

A comparison with a key that a version does not have does not hold, ``!=`` included. Text is compared with text,
numbers with numbers. ``version`` compares by precedence (1.9.0 < 1.10.0), ``created_at`` by time, ``name`` and
``stage`` and ``alias`` regardless of case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from regista.domain.errors import Invalid, Malformed
from regista.domain.times import micros
from regista.domain.versions import VersionNumber
from regista.projections.api.filters import Comparison, Value, bad_filter, parse_filter
from regista.projections.changes import FOREVER
from regista.projections.dialect import Dialect, Kind
from regista.projections.version_key import version_key
from regista.wire.moments import parse_moment

Condition: TypeAlias = tuple[str, list[Any]]
Attribute: TypeAlias = Callable[[Comparison, Dialect], Condition]
_ORDERED = ("<", "<=", ">", ">=")
_PATTERNS = ("LIKE", "ILIKE")


def compile_filter(text: str | None, dialect: Dialect) -> Condition:
    """The condition of a filter, for use behind WHERE, and its parameters.

    Raises:
        Malformed: ``bad_filter``.
    """
    if text is None or not text.strip():
        return "TRUE", []
    conditions = [_compile(comparison, dialect) for comparison in parse_filter(text)]
    return " AND ".join(sql for sql, _ in conditions), [value for _, values in conditions for value in values]


def _compile(comparison: Comparison, dialect: Dialect) -> Condition:
    if comparison.key is not None:
        return _in_map(comparison, dialect)
    return _ATTRIBUTES[comparison.field](comparison, dialect)


def _in_map(comparison: Comparison, dialect: Dialect) -> Condition:
    kinds = {_kind(value, comparison) for value in comparison.values}
    if len(kinds) > 1:
        raise bad_filter("IN takes values of one kind", comparison.place)
    (kind,) = kinds
    if comparison.operator in _ORDERED and kind == "boolean":
        raise bad_filter("TRUE and FALSE are equal or not, never less", comparison.place)
    values = [dialect.value(value) for value in comparison.values]
    test, parameters = _test(dialect.member(f"v.{comparison.field}", kind), comparison, values, dialect)
    return test, [comparison.key, *parameters]


def _kind(value: Value, comparison: Comparison) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    kind: Kind = "text" if isinstance(value, str) else "number"
    if comparison.operator in _PATTERNS and kind != "text":
        raise bad_filter(f"{comparison.operator} compares text", comparison.place)
    if comparison.field == "tags" and kind == "number":
        raise bad_filter("tags are text: write '…'", comparison.place)
    return kind


def _test(expression: str, comparison: Comparison, values: Sequence[Any], dialect: Dialect) -> Condition:
    match comparison.operator:
        case "IN":
            return f"{expression} IN ({', '.join('?' * len(values))})", list(values)
        case "LIKE":
            sql, value = dialect.like(expression, values[0])
        case "ILIKE":
            sql, value = dialect.like(f"lower({expression})", _ascii_lower(values[0]))
        case operator:
            return f"{expression} {operator} ?", list(values)
    return sql, [value]


def _ascii_lower(text: str) -> str:
    """Lower case as the databases' ``lower`` has it."""
    return text.encode().lower().decode()


def _texts(comparison: Comparison) -> list[str]:
    for value in comparison.values:
        if not isinstance(value, str):
            raise bad_filter(f"{comparison.field} is text: write '…'", comparison.place)
    return [str(value) for value in comparison.values]


def _text(expression: str) -> Attribute:
    return lambda comparison, dialect: _test(expression, comparison, _texts(comparison), dialect)


def _folded(expression: str) -> Attribute:
    """Text in lower case."""
    return lambda comparison, dialect: _test(
        expression, comparison, [text.lower() for text in _texts(comparison)], dialect
    )


def _version(comparison: Comparison, dialect: Dialect) -> Condition:
    texts = _texts(comparison)
    if comparison.operator in _PATTERNS:
        return _test("v.version", comparison, texts, dialect)
    try:
        keys = [version_key(str(VersionNumber.parse(text))) for text in texts]
    except Invalid as error:
        raise bad_filter(error.detail, comparison.place) from None
    return _test("v.version_key", comparison, keys, dialect)


def _created_at(comparison: Comparison, dialect: Dialect) -> Condition:
    if comparison.operator in _PATTERNS:
        raise bad_filter("created_at is a time", comparison.place)
    try:
        moments = [parse_moment(text, "created_at") for text in _texts(comparison)]
    except Malformed as error:
        raise bad_filter(error.detail, comparison.place) from None
    if any(isinstance(moment, int) for moment in moments):
        raise bad_filter("created_at is a time, such as '2026-05-01T00:00:00Z'", comparison.place)
    times = [micros(moment) for moment in moments if not isinstance(moment, int)]
    return _test("v.created_at", comparison, times, dialect)


def _alias(comparison: Comparison, dialect: Dialect) -> Condition:
    test, values = _test("a.alias", comparison, [text.lower() for text in _texts(comparison)], dialect)
    sql = (
        "EXISTS (SELECT 1 FROM aliases_v1 a WHERE a.model_key = v.model_key AND a.ordinal = v.ordinal "
        f"AND a.to_position = {FOREVER} AND {test})"
    )
    return sql, values


_ATTRIBUTES: dict[str, Attribute] = {
    "name": _folded("v.model_key"),
    "version": _version,
    "stage": _folded("v.stage"),
    "alias": _alias,
    "author": _text("v.author"),
    "format": _text("v.format"),
    "created_at": _created_at,
}
