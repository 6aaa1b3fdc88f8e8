"""``GET /v1/events/stream``: the events as server-sent events, first the past, then each as soon as it is visible.

``id`` is the position, ``event`` the CloudEvents type, ``data`` the event's JSON on one line. A reader that comes back
with ``Last-Event-ID`` (or ``after=``) goes on behind it, without gap or repetition. Silence is broken by comments. A
reader that does not read for ``patience`` seconds is cut off, and one more than ``max_readers`` is told to come later.
At shutdown a stream ends as if the log had no more; readers reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from regista.domain.errors import BeyondLog, Malformed, Unavailable
from regista.http.tail import Source, Tail, Told, Wanted

MEDIA_TYPE = "text/event-stream"
MAX_POSITION = 2**63 - 1
_PAGE = 100
_CHUNK = 64 * 2**10
"""Bytes sent at once."""
_GREETING = b": regista\n\n"
_HEARTBEAT = b": nothing new\n\n"


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

    async def check(self, after: int, wanted: Wanted) -> None:
        """Refuse what cannot be streamed, as long as it can be refused.

        Raises:
            BeyondLog: the log ends before that position.
            RegistaError: what reading with these filters raises.
        """
        if after > self._source.end():
            raise BeyondLog(f"the log ends at {self._source.end()}, before position {after}")
        await self._source.read(after, 1, wanted)

    async def chunks(self, after: int, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """The stream behind a position, in pieces; ends when the server closes or the views cannot be read."""
        self._tail.start()
        yield _GREETING
        position = after
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
            for chunk in _pieces(events):
                yield chunk
            if position < self._tail.position or position < self._tail.floor:
                continue
            if self._tail.failed:
                return
            if not await self._more(position):
                yield _HEARTBEAT

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

    def __init__(self, streams: EventStreams, after: int, wanted: Wanted) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"}, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._streams = streams
        self._after = after
        self._wanted = wanted

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
            async for chunk in self._streams.chunks(self._after, self._wanted):
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
        last_event_id: Annotated[str | None, Header(description="Sent by readers that come back; wins.")] = None,
    ) -> Response:
        """Follow the events: the past from `after` on (default: all of it), then each as it becomes visible."""
        begin = after or 0
        if last_event_id is not None and last_event_id.strip():
            begin = _position(last_event_id.strip())
        wanted = Wanted(stream, model, actor, type)
        await streams.check(begin, wanted)
        return EventStreamResponse(streams, begin, wanted)

    return router


def _position(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > MAX_POSITION:
        raise Malformed("Last-Event-ID is a position of the log: a number")
    return int(text)
