"""How far an outbox was published: a record in the relay's topic, written in the transaction of what it speaks of.

Beside checkpoints the topic holds barriers: whoever has just fenced the others commits one and reads until it appears,
and so knows that nothing of an older relay can still come to light.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from regista.bus.events.envelope import Consumed
from regista.domain.chain import Head
from regista.domain.errors import Damaged

_CHECKPOINT = "checkpoint"
_BARRIER = "barrier"
_NOTHING = Head()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last entry that was published, and the running digest (``chain.advance_over``) over all up to it.

    ``hash`` is that entry's own, empty at the beginning.
    """

    log_id: str
    outbox: str
    head: Head = _NOTHING
    hash: bytes = b""

    @property
    def position(self) -> int:
        """The position of the last entry, 0 at the beginning."""
        return self.head.position

    @property
    def key(self) -> bytes:
        """The record's key: one checkpoint is kept for each outbox of a log."""
        return f"{self.log_id}.{self.outbox}".encode()

    @property
    def value(self) -> bytes:
        """The record's value."""
        return _json(
            {
                "kind": _CHECKPOINT,
                "log_id": self.log_id,
                "outbox": self.outbox,
                "position": self.position,
                "hash": self.hash.hex(),
                "count": self.head.count,
                "digest": self.head.digest.hex(),
            }
        )


@dataclass(frozen=True, slots=True)
class Barrier:
    """A record that only its writer looks for."""

    outbox: str
    nonce: str

    @property
    def key(self) -> bytes:
        """The record's key: an older barrier is of no use to anybody."""
        return f"{self.outbox}.{_BARRIER}".encode()

    @property
    def value(self) -> bytes:
        """The record's value."""
        return _json({"kind": _BARRIER, "outbox": self.outbox, "nonce": self.nonce})


def parsed(record: Consumed) -> Checkpoint | Barrier:
    """What a record of the relay's topic says.

    Raises:
        Damaged: ``undecodable_record``: no relay of Regista wrote it.
    """
    try:
        content = json.loads(record.value or b"")
        if content["kind"] == _BARRIER:
            return Barrier(str(content["outbox"]), str(content["nonce"]))
        head = Head(int(content["position"]), int(content["count"]), bytes.fromhex(content["digest"]))
        return Checkpoint(str(content["log_id"]), str(content["outbox"]), head, bytes.fromhex(content["hash"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(
            f"A record in the relay's topic is not a checkpoint: {error!r}.",
            code="undecodable_record",
            hint="Something else wrote to the topic: allow nothing but the relay to write to it (regista topics plan).",
        ) from error


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
