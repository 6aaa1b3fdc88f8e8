"""Hypothesis strategies for events, made from the types of their dataclasses: any value that the schemas allow."""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from regista.domain.events import EVENT_TYPES, Event, Meta

T = TypeVar("T")

_LEAVES: Mapping[object, Callable[[], st.SearchStrategy[Any]]] = {
    type(None): st.none,
    bool: st.booleans,
    int: lambda: st.integers(-(2**63), 2**63 - 1),
    float: lambda: st.floats(allow_nan=False, allow_infinity=False),
    str: lambda: st.text(max_size=20) | st.sampled_from(["fraud", "1.4.0", "sha256:" + "ab" * 32, "prüfung ✓ 模型"]),
    bytes: lambda: st.binary(min_size=32, max_size=32),
    # fold says nothing in UTC, and hypothesis sets it all the same
    datetime: lambda: st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(fold=0)),
}


@cache
def of_type(hint: Hashable) -> st.SearchStrategy[Any]:
    """Any value of a type that an event can hold. Collections stay small: sizes are for other tests."""
    if isinstance(hint, type) and is_dataclass(hint):
        return instances(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), max_size=3)
    if origin in (Union, types.UnionType):
        return st.one_of([of_type(argument) for argument in arguments])
    return _LEAVES[hint]()


def instances(cls: type[T]) -> st.SearchStrategy[T]:
    """Any instance of an event, of ``Meta`` or of one of their value objects."""
    made: st.SearchStrategy[T] = _instances(cls)  # type: ignore[arg-type]  # a class can be hashed, which mypy does not see in a variable
    return made


@cache
def _instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    """One strategy for each type: Hypothesis checks each that it has not seen, with all that it is made of."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{field.name: of_type(hints[field.name]) for field in fields(cls)})


def events() -> st.SearchStrategy[Event]:
    """Any event of any type."""
    return st.one_of([instances(cls) for cls in EVENT_TYPES.values()])


def metas() -> st.SearchStrategy[Meta]:
    """Any ``Meta``."""
    return instances(Meta)
