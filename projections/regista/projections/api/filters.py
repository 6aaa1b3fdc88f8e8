"""The grammar of ``filter=``: comparisons joined by AND, read into values that ``filter_sql`` turns into SQL.

::

    filter     = comparison { AND comparison }
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | ILIKE ) value | field IN "(" value { "," value } ")"
    field      = name | ("tags" | "metrics" | "params") "." key
    key        = letters, digits, "_", "-", ".", "/"   or   `anything`   or   "anything"   (the quote doubled inside)
    value      = 'text' (a quote doubled inside) | number | TRUE | FALSE
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from regista.domain.errors import Malformed

Value: TypeAlias = str | int | float | bool
ATTRIBUTES = ("name", "version", "stage", "alias", "author", "format", "created_at")
MAPS = ("tags", "metrics", "params")
MAX_LENGTH = 4_096
MAX_COMPARISONS = 50

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<quoted>`(?:[^`]|``)*`|"(?:[^"]|"")*")
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w]))
    | (?P<operator><=|>=|!=|<>|=|<|>)
    | (?P<mark>[(),.])
    | (?P<word>[^\W\d][\w\-/]*)
    | (?P<end>$)
    )""",
    re.VERBOSE | re.ASCII,
)
_KEY = re.compile(r"""`(?:[^`]|``)*`|"(?:[^"]|"")*"|[\w\-./]+""", re.ASCII)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field`` is an attribute, or ``tags``, ``metrics``, ``params`` with a ``key``; ``IN`` has several values."""

    field: str
    key: str | None
    operator: str
    values: tuple[Value, ...]
    place: int


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def bad_filter(detail: str, place: int) -> Malformed:
    """The error of a filter: what is wrong, and at which character, from 1."""
    return Malformed(
        f"filter, character {place + 1}: {detail}",
        code="bad_filter",
        hint="For example: tags.team = 'risk' AND metrics.auc > 0.9 AND stage IN ('staging', 'production')",
    )


def parse_filter(text: str) -> tuple[Comparison, ...]:
    """Read a filter.

    Raises:
        Malformed: ``bad_filter``, with the place.
    """
    if len(text) > MAX_LENGTH:
        raise bad_filter(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    reader = _Reader(text)
    comparisons = [reader.comparison()]
    while not reader.at_end():
        reader.keyword("AND")
        comparisons.append(reader.comparison())
        if len(comparisons) > MAX_COMPARISONS:
            raise bad_filter(f"more than {MAX_COMPARISONS} comparisons", comparisons[-1].place)
    return tuple(comparisons)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0

    def at_end(self) -> bool:
        return not self._text[self._offset :].strip()

    def comparison(self) -> Comparison:
        field, key, place = self._field()
        operator = self._operator()
        if operator == "IN":
            return Comparison(field, key, operator, self._list(), place)
        return Comparison(field, key, operator, (self._value(),), place)

    def keyword(self, word: str) -> None:
        token = self._next()
        if token.kind != "word" or token.text.upper() != word:
            raise bad_filter(f"{word} expected, found {token.text[:40] or 'the end'!r}", token.place)

    def _next(self) -> _Token:
        match = _TOKEN.match(self._text, self._offset)
        if match is None or match.lastgroup is None:
            rest = self._text[self._offset :]
            place = self._offset + len(rest) - len(rest.lstrip())
            raise bad_filter(f"cannot be read: {rest.strip()[:20]!r}", place)
        self._offset = match.end()
        return _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))

    def _field(self) -> tuple[str, str | None, int]:
        token = self._next()
        name = token.text.lower()
        if token.kind != "word" or name not in (*ATTRIBUTES, *MAPS):
            known = ", ".join((*ATTRIBUTES, *(f"{m}.…" for m in MAPS)))
            raise bad_filter(f"{token.text[:40] or 'the end'!r} is not a field; fields are {known}", token.place)
        if name in ATTRIBUTES:
            return name, None, token.place
        if self._text[self._offset : self._offset + 1] != ".":
            raise bad_filter(f"{name} needs a key: {name}.some_key", self._offset)
        match = _KEY.match(self._text, self._offset + 1)
        if match is None:
            raise bad_filter("a key expected", self._offset + 1)
        self._offset = match.end()
        return name, _unquoted(match.group()), token.place

    def _operator(self) -> str:
        token = self._next()
        word = token.text.upper()
        if token.kind == "operator":
            return "!=" if word == "<>" else word
        if token.kind == "word" and word in ("LIKE", "ILIKE", "IN"):
            return word
        raise bad_filter(f"an operator expected, found {token.text[:40] or 'the end'!r}", token.place)

    def _list(self) -> tuple[Value, ...]:
        self._mark("(")
        values = [self._value()]
        while True:
            token = self._next()
            if token.kind == "mark" and token.text == ")":
                return tuple(values)
            if token.kind != "mark" or token.text != ",":
                raise bad_filter(f", or ) expected, found {token.text[:40] or 'the end'!r}", token.place)
            values.append(self._value())

    def _mark(self, mark: str) -> None:
        token = self._next()
        if token.kind != "mark" or token.text != mark:
            raise bad_filter(f"{mark} expected, found {token.text[:40] or 'the end'!r}", token.place)

    def _value(self) -> Value:
        token = self._next()
        if token.kind == "text":
            return _unquoted(token.text)
        if token.kind == "number":
            return _number(token)
        if token.kind == "word" and token.text.upper() in ("TRUE", "FALSE"):
            return token.text.upper() == "TRUE"
        raise bad_filter(f"a value expected, found {token.text[:40] or 'the end'!r}; text stands in '…'", token.place)


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote) if quote in "'`\"" else text


def _number(token: _Token) -> int | float:
    if token.text.lstrip("+-").isdecimal() and len(token.text) < 19:
        return int(token.text)
    value = float(token.text)
    if value in (float("inf"), float("-inf")):
        raise bad_filter("a number too large", token.place)
    return value
