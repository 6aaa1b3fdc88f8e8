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

from regista.schemas.catalogue import shipped
from regista.schemas.errors import NotEncodable, SchemaError, TooLarge, Undecodable
from regista.schemas.explain import explain
from regista.schemas.reader import Broken, Reader, compile_reader
from regista.schemas.schema import Record
from regista.schemas.writer import Mismatch, compile_writer

MARK: Final = b"\xc3\x01"
HEADER: Final = len(MARK) + 8
"""Bytes before the body."""
MAX_VALUE: Final = 512 * 1024
"""The most bytes that a value may take, header and all."""

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
    header, write = _writer(name)
    try:
        value = header + write(record)
    except Exception as error:  # noqa: BLE001 - a record may hold anything; what it holds is the caller's mistake
        raise _not_encodable(name, record, error) from None
    if len(value) > MAX_VALUE:
        raise TooLarge(len(value), MAX_VALUE)
    return value


def decode(value: bytes) -> Decoded:
    """The record of a value, whatever revision wrote it, with the fields of the newest.

    Raises:
        UnknownSchema: its fingerprint is not known to this release.
        Undecodable: it is damaged, truncated, over ``MAX_VALUE``, has trailing bytes, or is not an event at all.
    """
    name, read = _reader(fingerprint(value))
    try:
        record, end = read(value, HEADER)
    except _DAMAGE as error:
        msg = f"not a value of {name}: {error or type(error).__name__}"
        raise Undecodable(msg) from error
    if end != len(value):
        what = "truncated" if end > len(value) else f"{len(value) - end} trailing bytes"
        msg = f"not a value of {name}: {what}"
        raise Undecodable(msg)
    return Decoded(name, record)


def decode_meta(value: bytes) -> dict[str, Any]:
    """The ``meta`` of a value of any type, known here or not.

    Raises:
        Undecodable: it is damaged or not an event at all.
    """
    fingerprint(value)
    try:
        meta, end = _meta_reader()(value, HEADER)
    except _DAMAGE as error:
        msg = f"meta cannot be read: {error or type(error).__name__}"
        raise Undecodable(msg) from error
    if end > len(value):
        msg = "meta cannot be read: truncated"
        raise Undecodable(msg)
    return meta


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


def _not_encodable(name: str, record: Mapping[str, Any], error: Exception) -> NotEncodable:
    catalogue = shipped()
    reason = explain(catalogue.record(catalogue.newest(name)), record)
    return NotEncodable(
        f"{name}: {reason or (repr(error) if not isinstance(error, Mismatch) else 'not of its schema')}"
    )


@cache
def _writer(name: str) -> tuple[bytes, Callable[[Mapping[str, Any]], bytes]]:
    catalogue = shipped()
    entry = catalogue.newest(name)
    return MARK + bytes.fromhex(entry.fingerprint), compile_writer(catalogue.record(entry))


@cache
def _reader(written: bytes) -> tuple[str, Reader]:
    catalogue = shipped()
    entry = catalogue.entry(written.hex())
    newest = catalogue.newest(entry.record)
    return entry.record, compile_reader(catalogue.record(entry), catalogue.record(newest))


@cache
def _meta_reader() -> Reader:
    catalogue = shipped()
    meta = catalogue.record(catalogue.newest("LogCreated")).fields[0].type
    if not isinstance(meta, Record):
        msg = "meta is not a record"
        raise SchemaError(msg)
    return compile_reader(meta, meta)
