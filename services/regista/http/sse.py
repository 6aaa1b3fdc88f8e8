"""``GET /v1/events/stream``: the events as server-sent events, first the past, then each as soon as it is visible.

``id`` is the position, ``event`` the CloudEvents type, ``data`` the event's JSON on one line. A reader that comes back
with ``Last-Event-ID`` (or ``after=``) goes on behind it, without gap or repetition; with ``hash=`` and ``log_id=`` it
has this checked to be the same event of the same log, and with ``progress=true`` it is told how far the log was read
where nothing passed its filters, or nothing more follows. Silence is broken by comments. A
reader that does not read for ``patience`` seconds is cut off, and one more than ``max_readers`` is told to come later.
At shutdown a stream ends as if the log had no more; readers reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from regista.domain.errors import BeyondLog, Malformed, Refused, Unavailable
from regista.http.tail import Source, Tail, Told, Wanted

MEDIA_TYPE = "text/event-stream"
MAX_POSITION = 2**63 - 1
_PAGE = 100
_CHUNK = 64 * 2**10
"""Bytes sent at once."""
_GREETING = b": regista\n\n"
_HEARTBEAT = b": nothing new\n\n"
PROGRESS = "regista.progress"
"""The ``event`` of a message that is none of the log's: its data are ``position`` and ``hash``."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a reader remembers of where it was: the log, and the hash of the event there. None is not compared."""

    log_id: str | None = None
    hash: str | None = None


NOTHING_KNOWN = Known()


_START_ANEW = (
    "The registry was reset or restored from an older copy, or is another one. Where it is the right one, remove the "
    "stored position and say where to begin."
)


class EventStreams:
    """All readers of the event stream."""

    def __init__(self, source: Source, *, max_readers: int, heartbeat: float, patience: float) -> None:
        self._source = source
        self._max_readers = max_readers
        self._heartbeat = heartbeat
        self._tail = Tail(source, poll=heartbeat)
        self._closing = False
        self.patience = patience
        self.readers = 0

    def admit(self) -> None:
        """Count one more reader, who must :meth:`leave`.

        Raises:
            Unavailable: there are too many, or the server is closing.
        """
        if self._closing:
            raise Unavailable("the server is closing", code="closing")
        if self.readers >= self._max_readers:
            raise Unavailable(
                f"{self._max_readers} readers follow the events already",
                code="too_many_streams",
                hint="the limit is the setting REGISTA_MAX_STREAMS",
                retry_after=5.0,
            )
        self.readers += 1

    def leave(self) -> None:
        """Count one reader less."""
        self.readers -= 1
        if not self.readers:
            self._tail.stop()

    def close(self) -> None:
        """End all streams, and let nobody in any more."""
        self._closing = True
        self._tail.wake()

    async def check(self, after: int, wanted: Wanted, known: Known = NOTHING_KNOWN) -> None:
        """Refuse what cannot be streamed, as long as it can be refused.

        Raises:
            Refused: ``another_log``, ``log_diverged``: what the reader remembers is not of this log.
            BeyondLog: the log ends before that position.
            RegistaError: what reading with these filters raises.
        """
        await self._compare(after, known)
        if after > (end := await asyncio.to_thread(self._source.end)):
            raise BeyondLog(f"the log ends at {end}, before position {after}")
        await self._source.read(after, 1, wanted)

    async def _compare(self, after: int, known: Known) -> None:
        log_id = self._source.log_id()
        if known.log_id not in (None, log_id):
            raise Refused(f"this is the log {log_id}, not {known.log_id}", code="another_log", hint=_START_ANEW)
        if known.hash is None or not after:
            return
        found = await self._source.hash_at(after)
        if found != known.hash.lower():
            held = "no event" if found is None else f"an event with the hash {found}"
            raise Refused(
                f"the log has {held} at position {after}, not one with the hash {known.hash[:64]}",
                code="log_diverged",
                hint=_START_ANEW,
            )

    async def chunks(self, after: int, wanted: Wanted, *, progress: bool = False) -> AsyncGenerator[bytes, None]:
        """The stream behind a position, in pieces; ends when the server closes or the views cannot be read."""
        self._tail.start()
        yield _GREETING
        position = told = after
        unsaid = True
        while not self._closing:
            if position < self._tail.floor:
                reached = self._source.position()
                part = await self._source.read(position, _PAGE, wanted)
                events = part.events
                if part.more:
                    reached = events[-1].position
                position = max(position, reached, events[-1].position if events else 0)
            else:
                reached = self._tail.position
                events = self._tail.since(position, wanted)
                position = max(position, reached)
            unsaid = unsaid or bool(events)
            for chunk in _pieces(events):
                yield chunk
            if position < self._tail.position or position < self._tail.floor:
                continue
            if self._tail.failed:
                return
            unsaid = unsaid and position > told
            if progress and unsaid and (said := await self._progress(position)):
                yield said
                told, unsaid = position, False
            if not await self._more(position):
                said = await self._progress(position) if progress and position > told else None
                yield said or _HEARTBEAT
                told = position if said else told

    async def _progress(self, position: int) -> bytes | None:
        """The message that everything up to a position was told; None where that is not the end of what was read."""
        reached, found = await self._tail.mark()
        if reached != position or found is None:
            return None
        return frame(reached, PROGRESS, b'{"position":%d,"hash":"%b"}' % (reached, found.encode()))

    async def _more(self, position: int) -> bool:
        await self._tail.moved(position, self._heartbeat)
        return self._closing or self._tail.failed or self._tail.position > position


def _pieces(events: Sequence[Told]) -> list[bytes]:
    pieces: list[bytes] = []
    frames: list[bytes] = []
    size = 0
    for event in events:
        frames.append(event.frame)
        size += len(event.frame)
        if size >= _CHUNK:
            pieces.append(b"".join(frames))
            frames, size = [], 0
    if frames:
        pieces.append(b"".join(frames))
    return pieces


def frame(position: int, kind: str, data: bytes) -> bytes:
    """One event as text. ``data`` is JSON on one line."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (position, kind.encode(), data)


class EventStreamResponse(Response):
    """Sends a stream until it ends, the reader goes, or the reader stops reading."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: EventStreams, after: int, wanted: Wanted, *, progress: bool = False) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"}, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._streams = streams
        self._after = after
        self._wanted = wanted
        self._progress = progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        self._streams.admit()
        try:
            sending = asyncio.create_task(self._send_all(scope, send))
            leaving = asyncio.create_task(_until_gone(receive))
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, leaving):
                task.cancel()
            done = await asyncio.gather(sending, leaving, return_exceptions=True)
        finally:
            self._streams.leave()
        if isinstance(done[0], Exception):
            raise done[0]

    async def _send_all(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for chunk in self._streams.chunks(self._after, self._wanted, progress=self._progress):
                async with asyncio.timeout(self._streams.patience):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            abort = scope.get("regista.abort")
            if abort is None:
                raise
            abort()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events. Each has `id` (its position), `event` (its type) and `data` (its JSON).",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


def stream_routes(streams: EventStreams) -> APIRouter:
    """The route of the event stream."""
    router = APIRouter(tags=["events"])

    @router.get("/v1/events/stream", response_class=StreamingResponse, responses=_RESPONSES)
    async def stream_events(
        after: Annotated[int | None, Query(ge=0, le=MAX_POSITION, description="Begin behind this position.")] = None,
        stream: Annotated[str | None, Query(description="Only this stream, e.g. `model/fraud`.")] = None,
        model: Annotated[str | None, Query(description="Only this model.")] = None,
        actor: Annotated[str | None, Query(description="Only what this actor did.")] = None,
        type: Annotated[str | None, Query(description="Only this type.")] = None,  # noqa: A002 - the name in the API
        log_id: Annotated[
            str | None, Query(description="The log that `after` is a position of; another is 409.")
        ] = None,
        hash: Annotated[  # noqa: A002 - the name in the API
            str | None, Query(description="The hash of the event at `after`; where it is another, 409.")
        ] = None,
        progress: Annotated[
            bool, Query(description=f"Tell, as `{PROGRESS}`, how far the log was read where nothing more follows.")
        ] = False,
        last_event_id: Annotated[str | None, Header(description="Sent by readers that come back; wins.")] = None,
    ) -> Response:
        """Follow the events: the past from `after` on (default: all of it), then each as it becomes visible."""
        begin = after or 0
        if last_event_id is not None and last_event_id.strip():
            begin = _position(last_event_id.strip())
        wanted = Wanted(stream, model, actor, type)
        await streams.check(begin, wanted, Known(log_id, hash))
        return EventStreamResponse(streams, begin, wanted, progress=progress)

    return router


def _position(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > MAX_POSITION:
        raise Malformed("Last-Event-ID is a position of the log: a number")
    return int(text)
