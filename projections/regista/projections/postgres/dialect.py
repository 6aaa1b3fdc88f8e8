"""What PostgreSQL says in another way than SQLite, in whose dialect statements are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from regista.projections.dialect import Kind, parts_of
from regista.projections.postgres.connection import rebuilding

_NUMBERED = re.compile(r"\?(\d)")
_PUBLIC = re.compile(r"\b[a-z_]+_v\d+\b")
_SAID_OTHERWISE: Final = (
    # SQLite keeps the order of the tables in a cross join, and lets it have a condition; here the planner decides
    (re.compile(r"CROSS JOIN (\w+ \w+)\s+ON"), r"JOIN \1 ON"),
    (re.compile(r"json_group_array\((\w+)\)"), r"coalesce(array_to_json(array_agg(\1))::text, '[]')"),
)
_KINDS: Final[dict[Kind, tuple[str, str]]] = {
    "text": ("string", "(j.value #>> '{}') COLLATE \"C\""),
    "number": ("number", "(j.value #>> '{}')::numeric"),
    "boolean": ("boolean", "(j.value #>> '{}')::boolean"),
}


def translated(sql: str, names: Mapping[str, str]) -> str:
    """A statement for psycopg, each table by the name that it has now.

    Raises:
        Unavailable: ``view_rebuilding``: a table has none.
    """
    text = sql.replace("%", "%%")
    text = _NUMBERED.sub(r"%(p\1)s", text) if _NUMBERED.search(text) else text.replace("?", "%s")
    for pattern, other in _SAID_OTHERWISE:
        text = pattern.sub(other, text)

    def physical(found: re.Match[str]) -> str:
        name = names.get(found.group())
        if name is None:
            raise rebuilding()
        return name

    return _PUBLIC.sub(physical, text)


def bound(parameters: Sequence[Any]) -> list[Any]:
    """The parameters of a statement. PostgreSQL takes no U+0000, and no text in an event has any."""
    return [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in parameters]


def arguments(sql: str, parameters: Sequence[Any]) -> Sequence[Any] | Mapping[str, Any]:
    """The parameters of a translated statement."""
    values = bound(parameters)
    return {f"p{n}": value for n, value in enumerate(values, 1)} if "?1" in sql else values


class PostgresDialect:
    """As PostgreSQL has it."""

    def member(self, column: str, kind: Kind) -> str:
        """As ``Dialect.member``. What is selected is evaluated after the condition: no cast meets another kind."""
        name, value = _KINDS[kind]
        return f"(SELECT {value} FROM json_each({column}::json) j WHERE j.key = ? AND json_typeof(j.value) = '{name}')"

    def value(self, value: str | float) -> object:
        """As ``Dialect.value``. JSON has numbers as their shortest decimals: compared as such they are exact."""
        return Decimal(repr(value)) if isinstance(value, float) else value

    def like(self, expression: str, pattern: str) -> tuple[str, str]:
        """As ``Dialect.like``."""
        parts = (f"\\{c}" if c in "%_\\" and not wild else c for c, wild in parts_of(pattern))
        return f"{expression} LIKE ?", "".join(parts)


POSTGRES = PostgresDialect()


def bound_text(sql: str) -> str:
    """A statement whose tables are named already, for psycopg."""
    return sql.replace("%", "%%").replace("?", "%s")
