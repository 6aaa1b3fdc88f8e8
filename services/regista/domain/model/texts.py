"""Which text may stand in an event for ever: none with control characters or halves of characters, no empty names.

Control characters break terminals, logs and CSV files, PostgreSQL stores no NUL, and half a surrogate pair has no UTF-8
form. Prose (descriptions, reasons, values of maps) may have tabs and line breaks; names and addresses may not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any

from regista.domain import commands as c
from regista.domain.errors import Invalid, Reason

_UNFIT_FOR_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNFIT_FOR_PROSE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PROSE = frozenset({"description", "model_card", "summary", "custom"})
_JUDGED_ELSEWHERE = frozenset(
    {"model", "alias", "check", "ref", "to", "stage", "version", "base", "expect_current", "artifact.files"}
)
"""Names and references, which have rules of their own, and the paths of files, which the artifact store judges."""


def check_texts(command: c.Command, reason: str | None) -> None:
    """Check every text of a command, and the reason given for it.

    Raises:
        Invalid: ``invalid_text``.
    """
    problems = list(text_problems(command, reason))
    if problems:
        detail = "; ".join(problem.detail for problem in problems[:3])
        raise Invalid(detail, code="invalid_text", hint=problems[0].hint, reasons=problems)


def text_problems(command: c.Command, reason: str | None) -> Iterator[Reason]:
    """A reason for every text that may not stand in an event."""
    if _is_plain(command) and (reason is None or reason.isprintable()):
        return
    if reason is not None:
        yield from _text(reason, "reason", _UNFIT_FOR_PROSE)
    yield from _fields(command, "")


def _is_plain(value: object) -> bool:
    """Whether every text inside can be printed and every key has a name, as nearly always, seen at little cost."""
    cls: Any = type(value)
    if cls is str:
        return str.isprintable(value)  # type: ignore[arg-type]  # its type was just looked at
    if cls is tuple:
        return all(map(_is_plain, value))  # type: ignore[call-overload]  # the same
    if cls is dict:
        return _is_plain_mapping(value)  # type: ignore[arg-type]  # the same
    parts = _parts(cls)
    return parts is None or all(map(_is_plain, parts(value)))


def _is_plain_mapping(entries: dict[str, object]) -> bool:
    texts = "".join([value for value in entries.values() if isinstance(value, str)])
    return texts.isprintable() and "".join(entries).isprintable() and all(map(str.strip, entries))


def _fields(value: object, path: str) -> Iterator[Reason]:
    cls: Any = type(value)
    for name in _names(cls):
        field = f"{path}.{name}" if path else name
        if field not in _JUDGED_ELSEWHERE:
            unfit = _UNFIT_FOR_PROSE if name in _PROSE else _UNFIT_FOR_NAMES
            yield from _value(getattr(value, name), field, unfit)


def _value(value: object, field: str, unfit: re.Pattern[str]) -> Iterator[Reason]:
    if isinstance(value, str):
        yield from _text(value, field, unfit)
    elif isinstance(value, Mapping):
        yield from _entries(value, field)
    elif isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _value(inner, f"{field}[{i}]", unfit)
    elif is_dataclass(value):
        yield from _fields(value, field)


def _entries(entries: Mapping[str, object], field: str) -> Iterator[Reason]:
    for key, value in entries.items():
        yield from _key(key, field)
        if isinstance(value, str):
            yield from _text(value, f"{field}.{key}", _UNFIT_FOR_PROSE)


def _key(key: str, field: str) -> Iterator[Reason]:
    if not key.strip():
        yield Reason("empty_name", f"{field} has an entry without a name", field, "Name it, or leave it out.")
    else:
        yield from _text(key, field, _UNFIT_FOR_NAMES)


def _text(text: str, field: str, unfit: re.Pattern[str]) -> Iterator[Reason]:
    if text.isprintable():
        return
    found = unfit.search(text)
    if found is not None:
        shown = ascii(field)[1:-1]
        hint = f"Take U+{ord(found[0]):04X} out of it."
        yield Reason("bad_text", f"{shown} holds a control character or half of a character", shown, hint)


@cache
def _names(cls: Hashable) -> tuple[str, ...]:
    return tuple(cls.__dataclass_fields__)  # type: ignore[attr-defined]  # only asked of dataclasses


@cache
def _parts(cls: Hashable) -> Callable[[object], tuple[object, ...]] | None:
    """What takes an object of this class apart into its fields; None where it has none."""
    if not hasattr(cls, "__dataclass_fields__"):
        return None
    names = _names(cls)
    return attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
