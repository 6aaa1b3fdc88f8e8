"""The log's file, read with nothing of Regista: what the topics are compared with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import pack


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the log, with the command that it belongs to and its place in that command's set."""

    position: int
    stream: str
    sequence: int
    type: str
    value: bytes
    actor: str
    command_id: str
    index: int
    size: int

    @property
    def hash(self) -> str:
        """What the write was answered."""
        name = self.stream.encode()
        return sha256(pack(">I", len(name)) + name + pack(">Q", self.sequence) + self.value).hexdigest()


@dataclass(frozen=True, slots=True)
class Copy:
    """All events in the order of position, and where the events of each command (actor, id) are."""

    log_id: str
    events: tuple[Kept, ...]
    commands: dict[tuple[str, str], tuple[int, int]]

    @property
    def end(self) -> int:
        """The newest position."""
        return self.events[-1].position if self.events else 0


def copy_of(file: Path) -> Copy:
    """What the log holds at one moment."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None, timeout=30)) as log:
        log.execute("BEGIN")
        rows = log.execute(
            "SELECT position, originator_id, originator_version, topic, state FROM events ORDER BY position"
        ).fetchall()
        found = log.execute("SELECT actor, command_id, position, count FROM commands").fetchall()
    owners = {first + n: (actor, name, n + 1, count) for actor, name, first, count in found for n in range(count)}
    nobody = ("", "", 1, 1)
    events = tuple(
        Kept(position, stream, sequence, kind, bytes(value), *owners.get(position, nobody))
        for position, stream, sequence, kind, value in rows
    )
    commands = {(actor, name): (first, count) for actor, name, first, count in found}
    return Copy(events[0].stream.partition("/")[2] if events else "", events, commands)


def end_of(file: Path) -> int:
    """The newest position that the log has now."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as log:
        return int(log.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])
