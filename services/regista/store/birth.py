"""How a log begins: its creation, or the event that makes a copy of another log one of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from uuid import uuid4

from eventsourcing.persistence import StoredEvent

from regista.domain.chain import Head, Row, stream_hash
from regista.domain.events import Event, Identity, LogCreated, LogImported, Meta
from regista.store.append import Append, CommandKey
from regista.store.command_sets import CommandSet
from regista.store.mapper import AvroMapper, Recorded

SYSTEM = "system"
CREATION = "log-created"


def new_log_id() -> str:
    """An identity that no other log has."""
    return str(uuid4())


def log_stream(log_id: str) -> str:
    """The stream of what happens to a log itself."""
    return f"log/{log_id}"


@dataclass(frozen=True, slots=True)
class Importer:
    """Who imports, when and why."""

    actor: str
    identity: Identity
    time: datetime
    reason: str | None = None


def birth(log_id: str, time: datetime) -> Append:
    """What a new log begins with: ``LogCreated``, by the system, as the command ``log-created``."""
    command = CommandKey(SYSTEM, CREATION, sha256(log_id.encode()).digest())
    event = LogCreated(log_id=log_id, software=f"regista {version('regista')}")
    return Append((_first(log_id, event, command, Importer(SYSTEM, "system", time)),), command)


def imported(importer: Importer, log_id: str, source_log_id: str, head: Head) -> CommandSet:
    """What a copy of another log goes on with: ``LogImported`` behind the other's last event."""
    command = CommandKey(importer.actor, f"log-imported:{log_id}", sha256(log_id.encode()).digest())
    event = LogImported(log_id=log_id, source_log_id=source_log_id, source_position=head.position, events=head.count)
    row = _first(log_id, event, command, importer)
    return CommandSet(command, (Row(head.position + 1, log_stream(log_id), 1, row.topic, row.state),))


def _first(log_id: str, event: Event, command: CommandKey, by: Importer) -> StoredEvent:
    """The first event of the log's own stream."""
    stream = log_stream(log_id)
    return of_log(stream, 1, stream_hash(stream), event, command, by)


def of_log(
    stream: str, sequence: int, previous_hash: bytes, event: Event, command: CommandKey, by: Importer
) -> StoredEvent:
    """An event about the log itself, at its place in the log's own stream."""
    meta = Meta(
        time=by.time,
        actor=by.actor,
        identity=by.identity,
        reason=by.reason,
        command_id=command.command_id,
        command_digest=command.digest,
        cause=None,
        origin=None,
        traceparent=None,
        previous_hash=previous_hash,
    )
    return AvroMapper().to_stored_event(Recorded(stream, sequence, meta, event))
