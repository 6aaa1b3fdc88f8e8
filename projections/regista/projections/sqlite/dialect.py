"""What SQLite says in its own way."""

from __future__ import annotations

from typing import Final

from regista.projections.dialect import Kind, parts_of

_TYPES: Final[dict[Kind, str]] = {"text": "'text'", "number": "'integer', 'real'", "boolean": "'true', 'false'"}
_WILD: Final = {"%": "*", "_": "?"}


class SQLiteDialect:
    """As SQLite has it. Its LIKE knows no case: GLOB does."""

    def member(self, column: str, kind: Kind) -> str:
        """As ``Dialect.member``."""
        return f"(SELECT j.value FROM json_each({column}) j WHERE j.key = ? AND j.type IN ({_TYPES[kind]}))"

    def value(self, value: str | float) -> object:
        """As ``Dialect.value``: a truth value is 1 or 0."""
        return int(value) if isinstance(value, bool) else value

    def like(self, expression: str, pattern: str) -> tuple[str, str]:
        """As ``Dialect.like``."""
        parts = []
        for character, wild in parts_of(pattern):
            parts.append(_WILD[character] if wild else f"[{character}]" if character in "*?[" else character)
        return f"{expression} GLOB ?", "".join(parts)


SQLITE = SQLiteDialect()
