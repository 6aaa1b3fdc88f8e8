"""Logs whose events are real: encoded, chained, each by a command of its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from eventsourcing.persistence import StoredEvent

from regista.domain.chain import event_hash, stream_hash
from regista.domain.events import Event, Meta, ModelRegistered, ModelRevived
from regista.store.append import Append, CommandKey
from regista.store.log import LogReader, LogStore
from regista.store.mapper import AvroMapper, Recorded

TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Writer:
    """Appends events to streams of models, keeping each stream's chain."""

    def __init__(self, store: LogStore, actor: str = "ci") -> None:
        self.store = store
        self.actor = actor
        self.mapper = AvroMapper()
        self.tips: dict[str, tuple[int, bytes]] = {}
        self.commands = 0

    def tip(self, stream: str) -> tuple[int, bytes]:
        if stream not in self.tips:
            last = newest_of(self.store, stream)
            self.tips[stream] = last or (0, stream_hash(stream))
        return self.tips[stream]

    def event(self, model: str, command: CommandKey, event: Event | None = None) -> StoredEvent:
        """The next event of a model."""
        stream = f"model/{model}"
        sequence, previous_hash = self.tip(stream)
        meta = Meta(
            time=TIME + timedelta(seconds=self.commands),
            actor=command.actor,
            identity="asserted",
            reason="because",
            command_id=command.command_id,
            command_digest=command.digest,
            cause=None,
            origin=None,
            traceparent=None,
            previous_hash=previous_hash,
        )
        if event is None:
            event = ModelRevived(model) if sequence else ModelRegistered(model, None, "text", None, {}, "default")
        stored = self.mapper.to_stored_event(Recorded(stream, sequence + 1, meta, event))
        self.tips[stream] = (sequence + 1, event_hash(stream, sequence + 1, stored.state))
        return stored

    def append_key(self, command_id: str) -> CommandKey:
        """The key of a command of this writer."""
        return CommandKey(self.actor, command_id, sha256(command_id.encode()).digest())

    def append(self, *models: str, command_id: str | None = None) -> Append:
        """One command that writes the next event of each model, as one set."""
        self.commands += 1
        command = self.append_key(command_id or f"{self.actor}-{self.commands}")
        return Append(tuple(self.event(model, command) for model in models), command)

    def write(self, *models: str) -> int:
        """Append one set; its first position."""
        [position] = self.store.append([self.append(*models)])
        return position


def newest_of(store: LogReader, stream: str) -> tuple[int, bytes] | None:
    """Sequence and hash of a stream's newest event."""
    tip = None
    for row in store.load(stream):
        tip = (row.sequence, event_hash(row.stream, row.sequence, row.value))
    return tip


def filled(store: LogStore) -> LogStore:
    """Three models, ten commands, one of them a set over two streams: positions 2 to 12."""
    writer = Writer(store)
    for models in (("a",), ("b",), ("a",), ("a", "b"), ("c",), ("a",), ("b",), ("a",), ("c",), ("b",)):
        writer.write(*models)
    return store


def tamper(path: Path, *statements: str) -> None:
    """Change the file of a log behind its back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
