"""Answers of the administration: verify, rebuild, digests, import."""

from __future__ import annotations

from regista.wire.base import Resource
from regista.wire.resources import Head


class LogProblem(Resource):
    """One thing wrong with the log: what kind, and where. ``position`` is null where the event itself is gone."""

    kind: str
    detail: str
    position: int | None = None
    stream: str | None = None
    sequence: int | None = None


class Verification(Resource):
    """``POST /v1/admin/verify``: whether every stored event is what was written, and every broken place if not.

    Keep ``head`` (``position:digest``) elsewhere: a later verification with it proves that nothing before was removed.
    """

    ok: bool
    log_id: str
    head: Head
    problems: list[LogProblem] = []


class ViewDigests(Resource):
    """``GET /v1/admin/digests``: a digest over the content of every view. Equal logs fold into equal digests."""

    position: int
    digests: dict[str, str]


class Rebuilt(ViewDigests):
    """``POST /v1/admin/rebuild``: the views after they were folded anew from the first event."""

    events: int
    seconds: float


class Imported(Resource):
    """``POST /v1/admin/import``: what this registry is now. ``copied``: under a new log id."""

    log_id: str
    source_log_id: str
    position: int
    events: int
    copied: bool


class Progress(Resource):
    """How far a long operation has come, in events."""

    done: int
    total: int
