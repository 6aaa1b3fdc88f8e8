"""Between events and stored bytes: Avro single-object encoding, types from a closed table.

The library's own mapper writes a transcoder's output and resolves types from module paths in rows; ours does neither.
Its compression and encryption stay off: the bytes in the row are those on Kafka and in exports.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from regista.domain.chain import Row
from regista.domain.errors import Damaged, TooLarge
from regista.domain.events import EVENT_TYPES, Event, Meta
from regista.domain.records import from_record, meta_from_record, meta_to_record, to_record
from regista.schemas import codec
from regista.schemas.errors import SchemaError
from regista.schemas.errors import TooLarge as TooLargeValue


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event at its place in a stream, with who, when and why."""

    stream: str
    sequence: int
    meta: Meta
    event: Event

    @property
    def originator_id(self) -> str:
        """The library's name for the stream."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The library's name for the sequence."""
        return self.sequence


class AvroMapper(Mapper[str]):
    """Writes and reads the Avro form of events."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Write a ``Recorded``.

        Raises:
            TooLarge: the value is over 512 KiB; larger parts become a blob named by its digest.
            SchemaError: the event does not fit its schema.
        """
        if not isinstance(domain_event, Recorded):
            msg = f"not a recorded event: {domain_event!r}"
            raise TypeError(msg)
        event = domain_event.event
        record = {"meta": meta_to_record(domain_event.meta), **to_record(event)}
        try:
            value = codec.encode(type(event).__name__, record)
        except TooLargeValue as error:
            raise TooLarge(
                f"The event would take {error.size} bytes; the limit is {error.limit}.",
                code="event_too_large",
                hint="Store the large part as an artifact and name it by its digest.",
            ) from error
        return StoredEvent(domain_event.stream, domain_event.sequence, event.TYPE, value)

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:
        """Read a stored event.

        Raises:
            Damaged: the bytes cannot be read, or are not of the type the row says.
        """
        row = Row(
            0,
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )
        return self.from_row(row)

    def from_row(self, row: Row) -> Recorded:
        """Read a row.

        Raises:
            Damaged: as ``to_domain_event``.
        """
        place = f"{row.stream}@{row.sequence}"
        known = EVENT_TYPES.get(row.type)
        if known is None:
            raise Damaged(
                f"{place} is of the type {row.type!r}, which this release does not know.",
                code="unknown_event_type",
                hint="If a later release wrote it, run that one.",
            )
        try:
            decoded = codec.decode(row.value)
        except SchemaError as error:
            raise Damaged(f"{place} cannot be read: {error}", code="undecodable_event") from error
        if decoded.name != known.__name__:
            raise Damaged(f"{place} says {row.type!r} and holds {decoded.name}.", code="wrong_event_type")
        return Recorded(
            row.stream,
            row.sequence,
            meta_from_record(decoded.record["meta"]),
            from_record(row.type, decoded.record),
        )
