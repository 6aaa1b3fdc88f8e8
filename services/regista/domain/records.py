"""Events as plain dicts and back: the form that the Avro codec, the views and the API's JSON share.

A record has exactly the fields of its dataclass, in their order: nested dataclasses are dicts, tuples lists, maps dicts
in the order given; times, digests and scalars are themselves. The conversions are put together once per class from its
type hints, since every write and every event of a rebuild passes here; ``dataclasses.asdict`` copies deeply and takes
five times as long.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from regista.domain.errors import Damaged
from regista.domain.events import EVENT_TYPES, Event, Meta

_T = TypeVar("_T")
Convert: TypeAlias = Callable[[Any], Any]

TYPE_OF: Final[Mapping[str, str]] = {cls.__name__: name for name, cls in EVENT_TYPES.items()}
"""Record name (``VersionPromoted``) to event type (``regista.version.promoted.v1``)."""


_PLAIN: Final = frozenset({str, int, float, bool})


def to_record(event: Event) -> dict[str, Any]:
    """The event as a record, without ``meta``. It shares no mutable value with the event."""
    cls: Any = type(event)
    record: dict[str, Any] = _dumper(cls)(event)
    return record


def from_record(event_type: str, record: Mapping[str, Any]) -> Event:
    """The event of a record; ``meta`` and fields that this release does not know are left aside.

    Raises:
        Damaged: ``unknown_event_type`` when no event has this type, ``damaged`` when a field is missing.
    """
    cls = _class_of(event_type)
    return _load(cls, _loader(cast("Any", cls)), record)


def from_json(event_type: str, data: Mapping[str, Any]) -> Event:
    """The event of a record in the form of ``to_json``.

    Fields that this release does not know are left aside; one that an older release did not have gets its default.

    Raises:
        Damaged: ``unknown_event_type`` when no event has this type, ``damaged`` when it is not of that form.
    """
    cls = _class_of(event_type)
    return _load(cls, _json_loader(cast("Any", cls)), data)


def meta_to_record(meta: Meta) -> dict[str, Any]:
    """The record that stands first in every value."""
    record: dict[str, Any] = _dumper(Meta)(meta)
    return record


def meta_from_record(record: Mapping[str, Any]) -> Meta:
    """The ``Meta`` of a record's ``meta`` field.

    Raises:
        Damaged: a field is missing.
    """
    return _load(Meta, _loader(Meta), record)


def to_json(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as the API shows it: times in RFC 3339 with microseconds and ``Z``, bytes in hex, no ``meta``."""
    return {key: _json(value) for key, value in record.items() if key != "meta"}


def _class_of(event_type: str) -> type[Event]:
    cls = EVENT_TYPES.get(event_type)
    if cls is None:
        raise Damaged(
            f"no event is called {event_type}",
            code="unknown_event_type",
            hint="A newer release may have written it: upgrade this one.",
        )
    return cls


def _load(cls: type[_T], load: Convert, record: Mapping[str, Any]) -> _T:
    try:
        loaded: _T = load(record)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"not a record of {cls.__name__}: {error}"
        raise Damaged(msg) from error
    return loaded


def _json(value: object) -> object:
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return value


@cache
def _dumper(cls: type[Any]) -> Convert:
    """Dataclass to dict."""
    names, converted = _conversions(cls, _dump)
    get = _getter(attrgetter, names)

    def dump(value: object) -> dict[str, Any]:
        record = dict(zip(names, get(value), strict=True))
        for name, convert in converted:
            record[name] = convert(record[name])
        return record

    return dump


@cache
def _loader(cls: type[Any]) -> Convert:
    """Dict to dataclass."""
    names, converted = _conversions(cls, _undump)
    get = _getter(itemgetter, names)
    places = [(names.index(name), convert) for name, convert in converted]

    def load(record: Mapping[str, Any]) -> object:
        values = list(get(record))
        for place, convert in places:
            values[place] = convert(values[place])
        return cls(*values)

    return load


@cache
def _json_loader(cls: type[Any]) -> Convert:
    """Dict in the form of JSON to dataclass."""
    names, converted = _conversions(cls, _unjson)
    places = [(names.index(name), convert) for name, convert in converted]
    absent = {field.name: _default(field) for field in fields(cls)}

    def load(record: Mapping[str, Any]) -> object:
        values = [record[name] if name in record else absent[name]() for name in names]
        for place, convert in places:
            values[place] = convert(values[place])
        return cls(*values)

    return load


def _default(field: Field[Any]) -> Callable[[], Any]:
    """What a field is where a record does not have it."""
    if field.default_factory is not MISSING:
        return field.default_factory
    if field.default is not MISSING:
        return lambda: field.default

    def refuse() -> Any:  # noqa: ANN401 - it never returns
        raise KeyError(field.name)

    return refuse


def _conversions(
    cls: type[Any], of: Callable[[Any], Convert | None]
) -> tuple[tuple[str, ...], list[tuple[str, Convert]]]:
    """The names of a dataclass's fields, and those among them that need converting, with how."""
    hints = get_type_hints(cls)
    names = tuple(field.name for field in fields(cls))
    return names, [(name, convert) for name in names if (convert := of(hints[name])) is not None]


def _getter(make: Callable[..., Convert], names: tuple[str, ...]) -> Callable[[Any], Iterable[Any]]:
    get = make(*names)
    if len(names) > 1:
        return get
    return lambda value: (get(value),)


def _dump(hint: object) -> Convert | None:
    """How a value of this type becomes part of a record; None: it stays as it is."""
    return _conversion(hint, _dumper, list, dict)


def _undump(hint: object) -> Convert | None:
    """How part of a record becomes a value of this type; None: it stays as it is."""
    return _conversion(hint, _loader, tuple, None)


def _unjson(hint: object) -> Convert | None:
    """How a value of JSON becomes a value of this type; None: it stays as it is."""
    return _conversion(hint, _json_loader, tuple, None, {datetime: datetime.fromisoformat, bytes: bytes.fromhex})


def _conversion(
    hint: object,
    nested: Callable[[Any], Convert],
    sequence: Convert,
    mapping: Convert | None,
    scalars: Mapping[object, Convert] = MappingProxyType({}),
) -> Convert | None:
    if is_dataclass(hint):
        return nested(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        inner = _conversion(arguments[0], nested, sequence, mapping, scalars)
        return sequence if inner is None else _each(inner, sequence)
    if origin is Mapping:
        if _conversion(arguments[1], nested, sequence, mapping, scalars) is not None:
            msg = f"maps hold scalars only, not {arguments[1]}"
            raise TypeError(msg)
        return mapping
    if origin in (Union, types.UnionType):
        found = [c for a in arguments if (c := _conversion(a, nested, sequence, mapping, scalars)) is not None]
        if not found:
            return None
        if len(arguments) != 2 or type(None) not in arguments:
            msg = f"{hint}: only one type or null can be told apart"
            raise TypeError(msg)
        return _optional(found[0])
    if origin is Literal or hint in (str, int, float, bool, bytes, datetime, type(None)):
        return scalars.get(hint)
    msg = f"an event cannot hold {hint}"
    raise TypeError(msg)


def _each(convert: Convert, sequence: Convert) -> Convert:
    return lambda values: sequence([convert(value) for value in values])


def _optional(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)
