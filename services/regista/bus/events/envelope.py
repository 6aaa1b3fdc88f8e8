"""An event as a Kafka record and back: the CloudEvents 1.0 Kafka binding, binary mode.

The key is the stream id, the value the bytes of the row, unchanged; headers hold the rest. Key, headers and value
together restore the row exactly. Attributes are UTF-8 text. Every record has:

=================  ==================================================================================
ce_specversion     ``1.0``
ce_id              ``<log id>:<position>``: the same event always has the same id
ce_source          ``urn:regista:log:<log id>``
ce_type            the event's type, ``regista.version.promoted.v1``
ce_subject         the stream id, ``model/fraud-detector``
ce_time            when the event happened, RFC 3339, UTC
ce_dataschema      ``urn:regista:schema:<fingerprint>``: CRC-64-AVRO as it stands in the value's header, 16 hex digits
content-type       ``application/avro``: single-object encoding
ce_position        place in the log: strictly rising, gaps allowed
ce_sequence        place in the stream: contiguous from 1
ce_logid           the log
ce_actor           who
ce_commandid       by which command
traceparent        W3C trace context, where the command came with one
ce_setindex        1 … ce_setsize: place in an atomic set; both are absent in a set of one
ce_setsize         events of the set
=================  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.schemas.codec import HEADER, MARK, decode_stamp
from regista.schemas.errors import SchemaError

Headers: TypeAlias = list[tuple[str, bytes]]
_VERSION = ("ce_specversion", b"1.0")
_MARKED = len(MARK)
_FIRST_DAY = date(1970, 1, 1)
_CONTENT = ("content-type", b"application/avro")


class Consumed(Protocol):
    """A record as a consumer got it."""

    @property
    def key(self) -> bytes | None:
        """The key's bytes."""

    @property
    def value(self) -> bytes | None:
        """The value's bytes."""

    @property
    def headers(self) -> Iterable[tuple[str, bytes]]:
        """Name and bytes of each header."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event from Kafka: its row, the log it belongs to, its place in its atomic set (1 … ``set_size``)."""

    row: Row
    log_id: str
    set_index: int = 1
    set_size: int = 1

    @property
    def ends_set(self) -> bool:
        """Whether it is the last event of its set."""
        return self.set_index == self.set_size


class Envelope:
    """Makes the headers of one log's events: one for many, since most of what it makes comes again."""

    def __init__(self, log_id: str) -> None:
        self.log_id = log_id
        self._id = f"{log_id}:".encode()
        self._source = ("ce_source", source_of(log_id).encode())
        self._log = ("ce_logid", log_id.encode())

    def headers(self, row: Row, key: bytes, stamp: Mapping[str, Any], set_index: int = 1, set_size: int = 1) -> Headers:
        """The headers of a row; ``key``: that of its record; ``stamp``: what ``decode_stamp`` reads of its value."""
        position, _, sequence, kind, value = row
        place = b"%d" % position
        made: Headers = [
            _VERSION,
            ("ce_id", self._id + place),
            self._source,
            _text("ce_type", kind),
            ("ce_subject", key),
            ("ce_time", _time(stamp["time"])),
            _schema(value[_MARKED:HEADER]),
            _CONTENT,
            ("ce_position", place),
            ("ce_sequence", b"%d" % sequence),
            self._log,
            _text("ce_actor", stamp["actor"]),
            ("ce_commandid", stamp["command_id"].encode()),
        ]
        if (traceparent := stamp["traceparent"]) is not None:
            made.append(("traceparent", traceparent.encode()))
        if set_size > 1:
            made.append(("ce_setindex", b"%d" % set_index))
            made.append(("ce_setsize", b"%d" % set_size))
        return made


@lru_cache(4096)
def _text(name: str, value: str) -> tuple[str, bytes]:
    return name, value.encode()


@lru_cache(1024)
def _schema(fingerprint: bytes) -> tuple[str, bytes]:
    return "ce_dataschema", b"urn:regista:schema:" + fingerprint.hex().encode()


def _time(micros: int) -> bytes:
    """Microseconds since 1970 in RFC 3339, UTC; without a fraction where there is none."""
    second, fraction = divmod(micros, 1_000_000)
    day, second = divmod(second, 86_400)
    minute, second = divmod(second, 60)
    whole = b"%sT%02d:%02d:%02d" % (_day(day), minute // 60, minute % 60, second)
    return b"%s.%06dZ" % (whole, fraction) if fraction else whole + b"Z"


@lru_cache(1024)
def _day(number: int) -> bytes:
    return (_FIRST_DAY + timedelta(days=number)).isoformat().encode()


def source_of(log_id: str) -> str:
    """The URI of a log, the ``source`` of its events."""
    return f"urn:regista:log:{quote(log_id, safe='')}"


def to_headers(row: Row, log_id: str, set_index: int = 1, set_size: int = 1) -> Headers:
    """The headers of one row.

    Raises:
        Damaged: ``undecodable_event``: the row's value is not an event.
    """
    try:
        stamp = decode_stamp(row.value)
    except SchemaError as error:
        raise undecodable(row, error) from error
    return Envelope(log_id).headers(row, row.stream.encode(), stamp, set_index, set_size)


def undecodable(row: Row, error: SchemaError) -> Damaged:
    """A row of the log that cannot be published, since its value is not an event."""
    return Damaged(
        f"The event at position {row.position} cannot be read: {error}.",
        code="undecodable_event",
        hint="The log is damaged: regista verify says where, regista heal restores it from Kafka.",
    )


def received(record: Consumed) -> Received:
    """The event of a record.

    Raises:
        Damaged: ``undecodable_record``: it is not a record that a relay of Regista wrote.
    """
    headers = dict(record.headers)
    if record.key is None or record.value is None:
        raise _not_ours("it has no key or no value")
    try:
        row = Row(
            position=_number(headers["ce_position"]),
            stream=record.key.decode(),
            sequence=_number(headers["ce_sequence"]),
            type=headers["ce_type"].decode(),
            value=bytes(record.value),
        )
        log_id = headers["ce_logid"].decode()
        index, size = _number(headers.get("ce_setindex", b"1")), _number(headers.get("ce_setsize", b"1"))
    except KeyError as error:
        raise _not_ours(f"it has no header {error.args[0]}") from error
    except ValueError as error:
        raise _not_ours(str(error)) from error
    if not 1 <= index <= size:
        raise _not_ours(f"it is number {index} in a set of {size}")
    if not row.value.startswith(MARK):
        raise _not_ours("its value is not in Avro single-object encoding")
    return Received(row, log_id, index, size)


def _number(text: bytes) -> int:
    if not text.isdigit() or int(text) < 1:
        msg = f"{text!r} is not a number from 1 on"
        raise ValueError(msg)
    return int(text)


def _not_ours(why: str) -> Damaged:
    return Damaged(
        f"A record on Kafka is not an event of Regista: {why}.",
        code="undecodable_record",
        hint="Something else wrote to the topic: allow nothing but the relay to write to it (regista topics plan).",
    )
