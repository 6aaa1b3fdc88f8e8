"""What every event has: who, when, why, by which command, and what came before.

``Meta`` is the first field of every record and never changes its layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

Identity: TypeAlias = Literal["asserted", "authenticated", "system", "import"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an imported event came from: the other system, its id there, its time there."""

    system: str
    id: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Meta:
    """Who, when, why, by which command, and the hash of the stream's preceding event (32 bytes)."""

    time: datetime
    actor: str
    identity: Identity
    reason: str | None
    command_id: str
    command_digest: bytes
    cause: str | None
    origin: Origin | None
    traceparent: str | None
    previous_hash: bytes


class Event:
    """The base of all events. ``TYPE`` is the CloudEvents type; the class name is the Avro record name."""

    __slots__ = ()
    TYPE: ClassVar[str]
