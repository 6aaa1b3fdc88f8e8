"""Reading the values of options: ``KEY=VALUE``, data sets, parents. What cannot be read is a usage error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import typer

T = TypeVar("T")
NOBODY = "none"


def pairs(texts: Iterable[str] | None, read: Callable[[str], T], option: str) -> dict[str, T]:
    """``KEY=VALUE`` each; a key given twice is an error, since one of the two would be lost."""
    found: dict[str, T] = {}
    for text in texts or ():
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"{text!r}: write KEY=VALUE", param_hint=option)
        if key in found:
            raise typer.BadParameter(f"{key} is given twice", param_hint=option)
        try:
            found[key] = read(value)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r}: {error}", param_hint=option) from None
    return found


def number(text: str) -> float:
    """A metric."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def scalar(text: str) -> bool | int | float | str | None:
    """A parameter: as in JSON where it is a number, true, false or null, else text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | None) else text


def tag_changes(texts: Iterable[str] | None, removed: Iterable[str] | None) -> dict[str, str | None] | None:
    """``--tag KEY=VALUE`` and ``--untag KEY`` in one mapping; None where neither was given."""
    changes: dict[str, str | None] = {**pairs(texts, str, "--tag"), **dict.fromkeys(removed or ())}
    return changes or None


def dataset(text: str) -> dict[str, str]:
    """``NAME@VERSION``, ``NAME@sha256:…``, or ``NAME=PATH``, whose contents are digested."""
    from regista.client.training.data import digest  # noqa: PLC0415 - only where data are named

    name, separator, path = text.partition("=")
    if separator and name and path:
        return {"name": name, "digest": digest(path, name)}
    name, separator, version = text.rpartition("@")
    if not separator or not name or not version:
        raise typer.BadParameter(f"{text!r}: write NAME@VERSION, NAME@sha256:… or NAME=PATH", param_hint="--dataset")
    return {"name": name, "digest" if version.startswith("sha256:") else "version": version}


def parent(text: str) -> dict[str, str]:
    """``MODEL@VERSION``, or ``MODEL@VERSION:RELATION``."""
    model, separator, rest = text.partition("@")
    version, _, relation = rest.partition(":")
    if not separator or not model or not version:
        raise typer.BadParameter(f"{text!r}: write MODEL@VERSION or MODEL@VERSION:RELATION", param_hint="--parent")
    return {"model": model, "version": version} | ({"relation": relation} if relation else {})


def moment(text: str | None, option: str = "--at") -> int | datetime | None:
    """A position, or a time with its zone; a time without one is that of this machine, and a date its first moment."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        hint = "a position (1234), or a time such as 2026-05-04T12:00:00Z"
        raise typer.BadParameter(f"{text!r} is no moment: write {hint}", param_hint=option) from None
    return found if found.tzinfo else found.astimezone()


def time(text: str | None, option: str) -> datetime | None:
    """A time; ``now`` is one."""
    if text == "now":
        return datetime.now(UTC)
    found = moment(text, option)
    if isinstance(found, int):
        raise typer.BadParameter(f"{text!r} is a position, not a time", param_hint=option)
    return found


def expectation(text: str | None) -> dict[str, str | None]:
    """``--expect VERSION``, or ``none`` for nobody, as arguments of an operation; nothing where it was not given."""
    if text is None:
        return {}
    return {"expect_current": None if text.lower() == NOBODY else text}


def one_of(text: str, choices: Mapping[str, T], option: str) -> T:
    """One of a few words."""
    if text not in choices:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(choices)}", param_hint=option)
    return choices[text]


CheckStatus = Literal["passed", "failed", "running"]
JsonObject = dict[str, Any]
