"""The first event of a log."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from uuid import uuid4

from regista.domain.chain import stream_hash
from regista.domain.events import LogCreated, Meta
from regista.store.append import Append, CommandKey
from regista.store.mapper import AvroMapper, Recorded

SYSTEM = "system"
CREATION = "log-created"


def new_log_id() -> str:
    """An identity that no other log has."""
    return str(uuid4())


def log_stream(log_id: str) -> str:
    """The stream of what happens to a log itself."""
    return f"log/{log_id}"


def birth(log_id: str, time: datetime) -> Append:
    """What a new log begins with: ``LogCreated``, by the system, as the command ``log-created``."""
    digest = sha256(log_id.encode()).digest()
    stream = log_stream(log_id)
    meta = Meta(
        time=time,
        actor=SYSTEM,
        identity="system",
        reason=None,
        command_id=CREATION,
        command_digest=digest,
        cause=None,
        origin=None,
        traceparent=None,
        previous_hash=stream_hash(stream),
    )
    event = LogCreated(log_id=log_id, software=f"regista {version('regista')}")
    row = AvroMapper().to_stored_event(Recorded(stream, 1, meta, event))
    return Append((row,), CommandKey(SYSTEM, CREATION, digest))
