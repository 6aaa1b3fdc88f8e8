"""Following the log over server-sent events, through broken connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from regista.client.exchange import Close, Emit, Receive, Request, Sleep, Steps, Stream, TransportFault
from regista.client.retry import open_stream
from regista.client.session import Session, parse
from regista.client.sse import Parser
from regista.wire.resources import Event

SILENCE = 60.0
"""Seconds without a byte after which a connection counts as broken; the server says something every few seconds."""


def follow(session: Session, after: int, query: Mapping[str, object]) -> Steps[None]:
    """Emit the events behind ``after``, for ever.

    ``Last-Event-ID`` names the last one received, so that a new connection goes on behind it. One that is closed again
    without a single event is not opened again at once.

    Raises:
        RegistaError: the registry refuses, or cannot be reached within the patience of one request.
    """
    fruitless = 0
    while True:
        opened = yield from open_stream(stream_request(session, after, query), session.patience)
        before = after
        if opened.stream is not None:
            after = yield from _read(session, opened.stream, after)
        fruitless = 0 if after > before else fruitless + 1
        yield Sleep(session.patience.pause(max(1, fruitless), None))


def stream_request(session: Session, after: int, query: Mapping[str, object], silence: float = SILENCE) -> Request:
    """The request for what is behind a position; ``silence`` seconds without a byte break the connection."""
    request = session.reading("/v1/events/stream", {**query, "after": after}, fresh=False)
    headers = {**request.headers, "Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if after:
        headers["Last-Event-ID"] = str(after)
    return replace(request, headers=headers, timeout=silence)


def _read(session: Session, stream: Stream, after: int) -> Steps[int]:
    """Emit what comes until the connection ends; the position of the last event."""
    parser = Parser()
    try:
        while (chunk := (yield Receive(stream))) is not None:
            new = []
            for message in parser.feed(chunk):
                event = parse(Event, message.data.encode())
                if event.position > after:
                    after = event.position
                    new.append(event)
            if new:
                session.saw(after)
                yield Emit(new)
    except TransportFault:
        pass
    else:
        yield Close(stream)
    return after
