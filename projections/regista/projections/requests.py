"""What other processes ask of the one that projects: a table that both poll.

Whoever asks writes a row, reads its progress and its answer there, and takes it away. The projector takes a request up
by writing its name into it; one that a projector left behind is answered by the next: ask again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import uuid4

from regista.domain.errors import Damaged, Internal, NotFound, Refused, RegistaError, Unavailable
from regista.projections.desk import Desk
from regista.projections.leadership import Observed

T = TypeVar("T")
Json: TypeAlias = Any
"""What JSON can say."""
LOOK = 0.1
"""Seconds between two looks for an answer."""
_KINDS = {kind.__name__: kind for kind in (Damaged, Internal, NotFound, Refused, Unavailable)}

_ASK = "INSERT INTO requests (id, kind, body) VALUES (?, ?, ?)"
_WITHDRAW = "DELETE FROM requests WHERE id = ?"
_LOOK = "SELECT progress, answer FROM requests WHERE id = ?"
_OPEN = (
    "SELECT id, kind, body, holder FROM requests WHERE answer IS NULL AND (holder IS NULL OR holder <> ?) ORDER BY id"
)
_TAKE = "UPDATE requests SET holder = ? WHERE id = ?"
_PROGRESS = "UPDATE requests SET progress = ? WHERE id = ?"
_ANSWER = "UPDATE requests SET answer = ? WHERE id = ?"


class Blocking(Protocol):
    """Runs work in the one thread that may use the desk."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of the work."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``is_left`` says that a projector took it up and is gone."""

    id: str
    kind: str
    body: Mapping[str, Any]
    is_left: bool


class Requests:
    """The table, as the projector sees it. Belongs to the desk's thread."""

    def __init__(self, desk: Desk, holder: str) -> None:
        self._desk = desk
        self._holder = holder

    def take(self) -> list[Request]:
        """The requests that nobody works on; from now on this projector does."""
        found = [
            Request(id_, kind, json.loads(body), holder is not None)
            for id_, kind, body, holder in self._desk.execute(_OPEN, (self._holder,))
        ]
        for request in found:
            self._desk.execute(_TAKE, (self._holder, request.id))
        return found

    def report(self, request: Request, position: int, goal: int) -> None:
        """Tell how far it is."""
        self._desk.execute(_PROGRESS, (json.dumps([position, goal]), request.id))

    def answer(self, request: Request, result: Json) -> None:
        """Answer with what JSON can say."""
        self._desk.execute(_ANSWER, (json.dumps({"result": result}, ensure_ascii=False), request.id))

    def refuse(self, request: Request, error: RegistaError) -> None:
        """Answer with an error."""
        kind = next((name for name, known in _KINDS.items() if type(error) is known), Internal.__name__)
        told = {"kind": kind, "detail": error.detail, "code": error.code, "hint": error.hint}
        self._desk.execute(_ANSWER, (json.dumps({"error": told}, ensure_ascii=False), request.id))


class Asker:
    """The table, as those see it who ask. Belongs to one event loop; the desk to the thread of ``blocking``."""

    def __init__(self, desk: Desk, observed: Observed, blocking: Blocking) -> None:
        self._desk = desk
        self._observed = observed
        self._blocking = blocking

    async def ask(self, kind: str, body: Mapping[str, Any], progress: Callable[[int, int], None] | None = None) -> Json:
        """The projector's answer, however long it takes.

        Raises:
            Unavailable: ``no_projector``: none runs, or it ended meanwhile.
            RegistaError: what the projector answered.
        """
        id_ = str(uuid4())
        await self._blocking(lambda: self._put(id_, kind, body))
        told: str | None = None
        try:
            while True:
                now, answer = await self._blocking(lambda: self._look(id_))
                if answer is not None:
                    return _result(json.loads(answer))
                if progress is not None and now is not None and now != told:
                    progress(*json.loads(now))
                    told = now
                await asyncio.sleep(LOOK)
        finally:
            await self._blocking(lambda: self._desk.execute(_WITHDRAW, (id_,)))

    def _put(self, id_: str, kind: str, body: Mapping[str, Any]) -> None:
        self._check()
        self._desk.execute(_ASK, (id_, kind, json.dumps(body, ensure_ascii=False)))

    def _look(self, id_: str) -> tuple[str | None, str | None]:
        rows = self._desk.execute(_LOOK, (id_,))
        if not rows:
            raise no_projector()
        if rows[0][1] is None:
            self._check()
        return rows[0][0], rows[0][1]

    def _check(self) -> None:
        self._observed.look()
        if not self._observed.is_alive:
            raise no_projector()


def left_behind() -> Unavailable:
    """The answer to a request whose projector is gone."""
    return Unavailable(
        "the projector that worked on it has ended",
        code="projector_lost",
        hint="Another has taken its place and completes what was built. Ask again.",
    )


def no_projector() -> Unavailable:
    """The answer where nobody projects."""
    return Unavailable(
        "no projector is running",
        code="no_projector",
        hint="Start one: regista project; regista up has one of its own.",
        retry_after=5.0,
    )


def _result(answer: Mapping[str, Any]) -> Json:
    error = answer.get("error")
    if error is None:
        return answer["result"]
    raise _KINDS.get(error["kind"], Internal)(error["detail"], code=error["code"], hint=error["hint"])
