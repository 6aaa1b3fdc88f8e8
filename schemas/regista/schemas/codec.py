"""Records to bytes and back: Avro single-object encoding.

``C3 01``, eight bytes of fingerprint, the body. The fingerprint says which revision a value was written with, so
that every value can be read for ever; what comes out always has the fields of the newest revision. ``meta`` is the
first field of every record and never changes its layout: ``decode_meta`` reads it of any value, even of a type that
this release does not know.

Records are plain dicts: times are aware datetimes, digests bytes, maps and arrays dicts and lists. Encoding is exact:
a value that is not of its field's type is refused, never converted, except an integer for a double that holds it
exactly. NaN and the infinities are refused: JSON cannot carry them, and no comparison of metrics could use them.
Maps keep the order given. The same record gives the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from regista.schemas.catalogue import Catalogue, shipped, shipped_commands, shipped_metrics
from regista.schemas.errors import NotEncodable, TooLarge, Undecodable
from regista.schemas.explain import explain
from regista.schemas.pruning import with_time_as_number, without
from regista.schemas.reader import Broken, Reader, compile_reader
from regista.schemas.schema import Record
from regista.schemas.writer import compile_writer

MARK: Final = b"\xc3\x01"
HEADER: Final = len(MARK) + 8
"""Bytes before the body."""
MAX_VALUE: Final = 512 * 1024
"""The most bytes that a value may take, header and all."""
_UNSTAMPED: Final = ("identity", "reason", "cause", "origin", "previous_hash")
"""What ``decode_stamp`` leaves out of ``meta``."""

_DAMAGE: Final = (Broken, IndexError, KeyError, ValueError, OverflowError, struct.error)


class Decoded(NamedTuple):
    """A value read: the name of its record, and its fields as the newest revision has them."""

    name: str
    record: dict[str, Any]


def encode(name: str, record: Mapping[str, Any]) -> bytes:
    """The value of a record of the newest schema called ``name`` (``VersionPromoted``).

    Raises:
        UnknownSchema: no schema has this name.
        NotEncodable: the record is not of the schema; the message starts with the path of the field.
        TooLarge: the value would take more than ``MAX_VALUE`` bytes.
    """
    return shipped_codec().encode(name, record)


def decode(value: bytes) -> Decoded:
    """The record of a value, whatever revision wrote it, with the fields of the newest.

    Raises:
        UnknownSchema: its fingerprint is not known to this release.
        Undecodable: it is damaged, truncated, over ``MAX_VALUE``, has trailing bytes, or is not an event at all.
    """
    return shipped_codec().decode(value)


def decode_meta(value: bytes) -> dict[str, Any]:
    """The ``meta`` of a value of any type, known here or not.

    Raises:
        Undecodable: it is damaged or not an event at all.
    """
    return shipped_codec().decode_meta(value)


def decode_stamp(value: bytes) -> dict[str, Any]:
    """When, who and by which command, of a value of any type: half of ``decode_meta`` in half of the time.

    ``time`` (microseconds since 1970), ``actor``, ``command_id``, ``command_digest``, ``traceparent``.

    Raises:
        Undecodable: it is damaged or not an event at all.
    """
    return shipped_codec().decode_stamp(value)


def fingerprint(value: bytes) -> bytes:
    """The eight bytes that name the schema of a value.

    Raises:
        Undecodable: it is not in single-object encoding, or over ``MAX_VALUE``.
    """
    if len(value) < HEADER or value[:2] != MARK:
        msg = f"not a value in Avro single-object encoding: it starts with {value[:2].hex(' ') or 'nothing'}"
        raise Undecodable(msg)
    if len(value) > MAX_VALUE:
        msg = f"a value of {len(value)} bytes; the limit is {MAX_VALUE}"
        raise Undecodable(msg)
    return value[2:HEADER]


def _why(error: Exception) -> str:
    if isinstance(error, (IndexError, struct.error)):
        return "truncated"
    if isinstance(error, (Broken, KeyError)):
        return "a length, branch or symbol that cannot be"
    return str(error)


class Codec:
    """The codec over the schemas of one catalogue. Writers and readers are made when they are first needed."""

    def __init__(self, catalogue: Catalogue, read_as: Callable[[Record], Record] | None = None) -> None:
        """``read_as`` gives what to read of the newest revision of a record: some of its fields, in less time."""
        self._catalogue = catalogue
        self._read_as = read_as or (lambda newest: newest)
        self._writers: dict[str, tuple[bytes, Callable[[Mapping[str, Any]], bytes]]] = {}
        self._readers: dict[bytes, tuple[str, Reader]] = {}
        self._meta: Reader | None = None
        self._stamp: Reader | None = None

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """As the function ``encode``."""
        header, write = self._writers.get(name) or self._writer(name)
        try:
            value = header + write(record)
        except Exception as error:  # noqa: BLE001 - a record may hold anything; what it holds is the caller's mistake
            raise self._not_encodable(name, record, error) from None
        if len(value) > MAX_VALUE:
            raise TooLarge(len(value), MAX_VALUE)
        return value

    def decode(self, value: bytes) -> Decoded:
        """As the function ``decode``."""
        made = self._readers.get(value[:HEADER])
        if made is None or len(value) > MAX_VALUE:
            made = self._reader(fingerprint(value))
        name, read = made
        try:
            record, end = read(value, HEADER)
        except _DAMAGE as error:
            msg = f"not a value of {name}: {_why(error)}"
            raise Undecodable(msg) from error
        if end != len(value):
            what = "truncated" if end > len(value) else f"{len(value) - end} trailing bytes"
            msg = f"not a value of {name}: {what}"
            raise Undecodable(msg)
        return Decoded(name, record)

    def decode_meta(self, value: bytes) -> dict[str, Any]:
        """As the function ``decode_meta``."""
        self._meta = self._meta or self._meta_reader(lambda meta: meta)
        return _prefix(self._meta, value)

    def decode_stamp(self, value: bytes) -> dict[str, Any]:
        """As the function ``decode_stamp``."""
        self._stamp = self._stamp or self._meta_reader(
            lambda meta: with_time_as_number(without(meta, _UNSTAMPED), "time")
        )
        return _prefix(self._stamp, value)

    def _not_encodable(self, name: str, record: Mapping[str, Any], error: Exception) -> NotEncodable:
        reason = explain(self._catalogue.record(self._catalogue.newest(name)), record)
        return NotEncodable(f"{name}: {reason or repr(error)}")

    def _writer(self, name: str) -> tuple[bytes, Callable[[Mapping[str, Any]], bytes]]:
        entry = self._catalogue.newest(name)
        made = MARK + bytes.fromhex(entry.fingerprint), compile_writer(self._catalogue.record(entry))
        return self._writers.setdefault(name, made)

    def _reader(self, written: bytes) -> tuple[str, Reader]:
        entry = self._catalogue.entry(written.hex())
        newest = self._catalogue.record(self._catalogue.newest(entry.record))
        made = compile_reader(self._catalogue.record(entry), self._read_as(newest))
        return self._readers.setdefault(MARK + written, (entry.record, made))

    def _meta_reader(self, read_as: Callable[[Record], Record]) -> Reader:
        # any schema would do: the layout of meta is the same in all
        entry = self._catalogue.newest(self._catalogue.names[0])
        meta = self._catalogue.record(entry).fields[0].type
        assert isinstance(meta, Record)
        return compile_reader(meta, read_as(meta))


def _prefix(read: Reader, value: bytes) -> dict[str, Any]:
    """What a reader of ``meta`` reads at the beginning of a value."""
    fingerprint(value)
    try:
        meta, end = read(value, HEADER)
    except _DAMAGE as error:
        msg = f"meta cannot be read: {_why(error)}"
        raise Undecodable(msg) from error
    if end > len(value):
        msg = "meta cannot be read: truncated"
        raise Undecodable(msg)
    return meta


@cache
def shipped_codec() -> Codec:
    """The codec over the schemas of events that come with this package."""
    return Codec(shipped())


@cache
def command_codec() -> Codec:
    """The codec over the schemas of commands and their results; ``decode_meta`` is not for them."""
    return Codec(shipped_commands())


@cache
def metrics_codec() -> Codec:
    """The codec over the schemas of what is measured; ``decode_meta`` is not for them."""
    return Codec(shipped_metrics())
