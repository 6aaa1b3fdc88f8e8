"""The event stream, one connection at a time: for readers that decide themselves when to open the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import httpx

from regista.client.drivers import AsyncDriver
from regista.client.errors import Unreachable
from regista.client.exchange import Close, Emit, Receive, Request, Steps, Stream, TransportFault
from regista.client.follow import stream_request
from regista.client.retry import Patience, open_stream
from regista.client.session import Session, parse, path
from regista.client.settings import Settings
from regista.client.sse import Message, Parser
from regista.wire.base import Resource
from regista.wire.resources import Event, EventPage, Status

_PROGRESS = "regista.progress"


class Reached(Resource):
    """Everything up to this position was told, apart from what the filters hold back."""

    position: int
    hash: str


Told: TypeAlias = Event | Reached


class Listener(AsyncDriver):
    """Reads the log of a registry as it grows. Nothing is repeated here: every fault is the caller's to wait out.

    ``silence`` is how many seconds without a byte make a connection count as broken.

    Raises:
        RegistaError: any operation, for what the registry refuses; ``Unreachable`` where it does not answer.
    """

    def __init__(
        self, settings: Settings, *, silence: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(Session(replace(settings, fresh=False), Patience(attempts=1)), transport)
        self._silence = silence

    async def status(self) -> Status:
        """How the registry is: the identity of its log, its newest position, visible or not, and its views."""
        return await self._run(self._session.ask(self._session.reading("/v1/status"), Status))

    async def newest(self, until: int | None = None, *, visible: int) -> Event | None:
        """The newest event, of those up to a position where one is given, once the view holds ``visible``.

        Raises:
            Unavailable: the view does not hold it yet.
        """
        query = {
            "order": "desc", "limit": 1, "after": None if until is None else until + 1, "min_position": visible or None,
        }  # fmt: skip
        page = await self._run(self._session.ask(self._session.reading(path("events"), query), EventPage))
        return page.items[0] if page.items else None

    def read(self, after: int, query: Mapping[str, object]) -> AsyncIterator[Sequence[Told]]:
        """What comes over one connection, in pieces, until the server ends it; an empty one first, once it is open.

        ``query`` is as of ``/v1/events/stream``.

        Raises:
            Unreachable: the connection broke, or was silent for too long.
        """
        query = {**query, "progress": True}
        return self._iterate(self._read(stream_request(self._session, after, query, self._silence)))

    def _read(self, request: Request) -> Steps[None]:
        opened = yield from open_stream(request, self._session.patience)
        if opened.stream is None:
            return
        yield Emit([[]])
        try:
            yield from _told(opened.stream)
        except TransportFault as fault:
            raise Unreachable(f"The connection to the registry broke: {fault.cause}") from fault


def _told(stream: Stream) -> Steps[None]:
    parser = Parser()
    while (chunk := (yield Receive(stream))) is not None:
        if told := [_read(message) for message in parser.feed(chunk)]:
            yield Emit([told])
    yield Close(stream)


def _read(message: Message) -> Told:
    data = message.data.encode()
    return parse(Reached, data) if message.event == _PROGRESS else parse(Event, data)
