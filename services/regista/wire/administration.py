"""Answers of the administration: verify, rebuild, digests, import."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from regista.wire.base import Name, Reason, Request, Resource
from regista.wire.resources import Head


class LogProblem(Resource):
    """One thing wrong with the log: what kind, and where. ``position`` is null where it is about no single event."""

    kind: str
    detail: str
    position: int | None = None
    stream: str | None = None
    sequence: int | None = None


class KafkaCopy(Resource):
    """What Kafka has of the log: up to ``head``. ``unpublished`` events behind it are in the store alone."""

    log_id: str
    head: Head
    unpublished: int


class Verification(Resource):
    """``POST /v1/admin/verify``: whether every stored event is what was written, and every broken place if not.

    Keep ``head`` (``position:digest``) elsewhere: a later verification with it proves that nothing before was removed.
    ``proven``: what the head that was given proves, the whole log up to it or one stream. ``problems`` holds the first
    1000 of all ``found``. ``kafka``: the other copy, where it was compared with the store record by record.
    """

    ok: bool
    log_id: str
    head: Head
    proven: Literal["log", "stream"] | None = None
    kafka: KafkaCopy | None = None
    found: int = 0
    problems: list[LogProblem] = []


class ViewDigests(Resource):
    """``GET /v1/admin/digests``: a digest over the content of every view. Equal logs fold into equal digests."""

    position: int
    digests: dict[str, str]


class Rebuilt(ViewDigests):
    """``POST /v1/admin/rebuild``: the views after they were folded anew from the first event.

    ``previous`` are the digests of what they replace; a view is not in it where its definition changed or it stood still.
    ``equal``: every view that can be compared has the digest it had before.
    """

    previous: dict[str, str]
    equal: bool
    events: int
    seconds: float


class SkipPosition(Request):
    """Body of ``POST /v1/admin/skip``. Without ``view``: every view that stands still before this position."""

    position: Annotated[int, Field(ge=1, le=2**63 - 1)]
    reason: Reason
    view: Name | None = None


class Skipped(Resource):
    """``POST /v1/admin/skip``: the views that pass over a position from now on, and who had them do so, and why."""

    position: int
    views: list[str]
    reason: str
    actor: str
    time: datetime


class Imported(Resource):
    """``POST /v1/admin/import``: what this registry is now. ``copied``: under a new log id."""

    log_id: str
    position: int
    events: int
    copied: bool


class Healed(Resource):
    """What ``regista heal`` did: events ``kept``, ``restored`` from Kafka, and put aside into the file ``quarantine``.

    ``unpublished`` events, which Kafka does not have yet, stay. ``position`` is that of the newest event now. ``queues``:
    what the log remembers of commands that came by Kafka is again what Kafka says of them.
    """

    log_id: str
    position: int
    kept: int
    restored: int
    quarantined: int
    unpublished: int
    queues: bool
    quarantine: str | None


class Progress(Resource):
    """How far a long operation has come, in events."""

    done: int
    total: int
