"""The parts of statements that engines write differently. Everything else is written once, in SQLite's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["text", "number", "boolean"]


class Dialect(Protocol):
    """Fragments of SQL, ``?`` for each parameter."""

    def member(self, column: str, kind: Kind) -> str:
        """The value that a column of JSON has for a key, the one parameter; null where it has none of that kind."""
        ...

    def value(self, value: str | float) -> object:
        """What is bound in comparison with a ``member``."""
        ...

    def like(self, expression: str, pattern: str) -> tuple[str, str]:
        r"""A condition that minds case, and its parameter. In the pattern are ``%`` and ``_``, a backslash escapes."""
        ...


def parts_of(pattern: str) -> Iterator[tuple[str, bool]]:
    """The characters of a LIKE pattern, and whether each stands for others. A last backslash stands for itself."""
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            yield next(characters, "\\"), False
        else:
            yield character, character in "%_"
