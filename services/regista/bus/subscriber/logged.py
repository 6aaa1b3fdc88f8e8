"""Events as subscribers get them: typed, whichever way they came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from regista.domain.events import Event, Identity
from regista.domain.records import to_json, to_record


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a subscriber has come: the log, the position of the last event done with, and its hash as proof.

    ``hash`` is in hex; position 0 with an empty hash is the place before the first event.
    """

    log_id: str
    position: int
    hash: str


class Command(NamedTuple):
    """What an event came from. Neighbours with the same one came to exist together, all or none of them."""

    actor: str
    id: str


Data: TypeAlias = Event | Mapping[str, Any] | bytes
"""What happened. For a type that this release does not know: its JSON where it came over HTTP, else its Avro value."""


async def _nobody(event: LoggedEvent) -> None:
    """An event that no subscriber handed out is done with as it is."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it stands in the log.

    ``position`` rises strictly over the log, ``sequence`` is contiguous from 1 in ``stream``; ``time`` decides no
    order. ``cause`` is ``<stream>@<sequence>`` of the event that led to this one. Hashes are in hex.
    """

    position: int
    stream: str
    sequence: int
    type: str
    time: datetime
    actor: str
    identity: Identity
    reason: str | None
    command_id: str
    cause: str | None
    previous_hash: str
    hash: str
    log_id: str
    data: Data
    acknowledge: Callable[[LoggedEvent], Awaitable[None]] = field(default=_nobody, repr=False, compare=False)

    @property
    def bookmark(self) -> Bookmark:
        """The place behind this event: what to store with its effects, to take each event's effects once."""
        return Bookmark(self.log_id, self.position, self.hash)

    @property
    def command(self) -> Command:
        """What it came from."""
        return Command(self.actor, self.command_id)

    def as_json(self) -> dict[str, Any]:
        """The event as the API shows it, and its log; data that could not be read are in hex."""
        return {
            "position": self.position,
            "stream": self.stream,
            "sequence": self.sequence,
            "type": self.type,
            "time": self.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "actor": self.actor,
            "identity": self.identity,
            "reason": self.reason,
            "command_id": self.command_id,
            "cause": self.cause,
            "previous_hash": self.previous_hash,
            "hash": self.hash,
            "data": _shown(self.data),
            "log_id": self.log_id,
        }

    async def done(self) -> None:
        """Store that this event and all before it are done with: after a crash, what follows it comes first.

        Raises:
            Exception: what storing the position raises.
        """
        await self.acknowledge(self)


def _shown(data: Data) -> dict[str, Any]:
    if isinstance(data, Event):
        return to_json(to_record(data))
    return {"avro": data.hex()} if isinstance(data, bytes) else dict(data)
