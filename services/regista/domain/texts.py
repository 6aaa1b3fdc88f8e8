"""Which text may stand in an event for ever: none with control characters or halves of characters, no empty names.

Control characters break terminals, logs and CSV files, PostgreSQL stores no NUL, and half a surrogate pair has no UTF-8
form. Prose (descriptions, reasons, values of maps) may have tabs and line breaks; names and addresses may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from regista.domain.errors import Invalid, Reason

_UNFIT_FOR_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNFIT_FOR_PROSE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PROSE = frozenset({"description", "model_card", "summary", "custom", "settings", "detail", "explanation"})


def check_texts(command: object, reason: str | None, judged_elsewhere: frozenset[str]) -> None:
    """Check every text of a command, and the reason given for it; fields ``judged_elsewhere`` have rules of their own.

    Raises:
        Invalid: ``invalid_text``.
    """
    problems = list(text_problems(command, reason, judged_elsewhere))
    if problems:
        detail = "; ".join(problem.detail for problem in problems[:3])
        raise Invalid(detail, code="invalid_text", hint=problems[0].hint, reasons=problems)


def text_problems(command: object, reason: str | None, judged_elsewhere: frozenset[str]) -> Iterator[Reason]:
    """A reason for every text that may not stand in an event."""
    if reason is not None:
        yield from _text(reason, "reason", _UNFIT_FOR_PROSE)
    yield from _fields(command, "", judged_elsewhere)


def _fields(value: Any, path: str, judged_elsewhere: frozenset[str]) -> Iterator[Reason]:  # noqa: ANN401 - any dataclass: the type has no public name
    for name in (each.name for each in fields(value)):
        field = f"{path}.{name}" if path else name
        if field not in judged_elsewhere:
            unfit = _UNFIT_FOR_PROSE if name in _PROSE else _UNFIT_FOR_NAMES
            yield from _value(getattr(value, name), field, unfit, judged_elsewhere)


def _value(value: object, field: str, unfit: re.Pattern[str], judged_elsewhere: frozenset[str]) -> Iterator[Reason]:
    if isinstance(value, str):
        yield from _text(value, field, unfit)
    elif isinstance(value, Mapping):
        yield from _entries(value, field)
    elif isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _value(inner, f"{field}[{i}]", unfit, judged_elsewhere)
    elif is_dataclass(value):
        yield from _fields(value, field, judged_elsewhere)


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
