"""Texts as PostgreSQL can hold them: it knows no U+0000, which JSON, Avro and SQLite do.

Where one occurs it is written as ``ESCAPE`` and ``0``, and ``ESCAPE`` itself as ``ESCAPE`` and ``1``. A note in the
database says that this happened, and only then is what is read looked through: it costs nothing where it never did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

ESCAPE: Final = "\U000f0000"
"""Of a plane for private use: it is in no text that anybody writes."""
NOTE: Final = "escaped"
"""The name of the note in ``about``."""


def need_escape(values: Sequence[str | None]) -> bool:
    """Whether any of the texts cannot be written as it is."""
    joined = "".join(value for value in values if value is not None)
    return "\0" in joined or ESCAPE in joined


def escaped(text: str) -> str:
    """The text as it is written."""
    if "\0" in text or ESCAPE in text:
        return text.replace(ESCAPE, f"{ESCAPE}1").replace("\0", f"{ESCAPE}0")
    return text


def stored(values: Sequence[Any]) -> Sequence[Any]:
    """All texts of a column as they are written."""
    if need_escape(values):
        return [None if value is None else escaped(value) for value in values]
    return values


def bound(parameters: Sequence[Any]) -> list[Any]:
    """The parameters of a statement, texts as they are written."""
    return [escaped(value) if isinstance(value, str) else value for value in parameters]


def read(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as it was before it was written."""
    return tuple(_plain(value) if isinstance(value, str) and ESCAPE in value else value for value in row)


def _plain(text: str) -> str:
    return text.replace(f"{ESCAPE}0", "\0").replace(f"{ESCAPE}1", ESCAPE)
