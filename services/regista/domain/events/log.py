"""The events of the log itself: created, imported, healed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regista.domain.events.base import Event


@dataclass(frozen=True, slots=True)
class LogCreated(Event):
    """The first event of every log: position 1. ``log_id`` is its identity on Kafka and in exports."""

    TYPE: ClassVar[str] = "regista.log.created.v1"
    log_id: str
    software: str


@dataclass(frozen=True, slots=True)
class LogImported(Event):
    """A copy of another log goes on as a log of its own: all before this event is the other's, unchanged."""

    TYPE: ClassVar[str] = "regista.log.imported.v1"
    log_id: str
    source_log_id: str
    source_position: int
    events: int


@dataclass(frozen=True, slots=True)
class LogHealed(Event):
    """The store was made equal to another copy of the log again; a gap of 1,000,000 positions precedes this event.

    ``kept`` and ``restored`` are events of the log now, ``quarantined`` those that the copy contradicts.
    """

    TYPE: ClassVar[str] = "regista.log.healed.v1"
    log_id: str
    source: str
    source_position: int
    kept: int
    restored: int
    quarantined: int
