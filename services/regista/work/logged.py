"""Rows of the log as effects look at them: who, when, why, and the event itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from regista.domain.chain import Row, event_hash
from regista.domain.errors import Damaged
from regista.domain.events import EVENT_TYPES, Event, Identity
from regista.domain.records import from_record, meta_from_record
from regista.schemas import codec
from regista.schemas.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Logged:
    """An event at its place. Hashes are in hex; ``cause`` is ``<stream>@<sequence>`` of the event that led to it.

    ``event`` is None for a type that this release does not know: nothing can follow from it.
    """

    position: int
    stream: str
    sequence: int
    time: datetime
    actor: str
    identity: Identity
    reason: str | None
    command_id: str
    cause: str | None
    type: str
    event: Event | None
    hash: str
    log_id: str
    previous_hash: str
    traceparent: str | None

    @property
    def place(self) -> str:
        """What names it as a cause: ``<stream>@<sequence>``."""
        return f"{self.stream}@{self.sequence}"


def decoded(row: Row, log_id: str) -> Logged:
    """The event of a row.

    Raises:
        Damaged: ``undecodable_event``: its value cannot be read.
    """
    try:
        if row.type in EVENT_TYPES:
            record = codec.decode(row.value).record
            event: Event | None = from_record(row.type, record)
        else:
            record, event = {"meta": codec.decode_meta(row.value)}, None
    except SchemaError as error:
        raise Damaged(
            f"the event at position {row.position} cannot be read: {error}",
            code="undecodable_event",
            hint="If a newer release wrote it, run that one. Else regista verify says what is damaged.",
        ) from error
    meta = meta_from_record(record["meta"])
    return Logged(
        position=row.position,
        stream=row.stream,
        sequence=row.sequence,
        time=meta.time,
        actor=meta.actor,
        identity=meta.identity,
        reason=meta.reason,
        command_id=meta.command_id,
        cause=meta.cause,
        type=row.type,
        event=event,
        hash=event_hash(row.stream, row.sequence, row.value).hex(),
        log_id=log_id,
        previous_hash=meta.previous_hash.hex(),
        traceparent=meta.traceparent,
    )
