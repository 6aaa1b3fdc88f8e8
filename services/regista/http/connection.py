"""The HTTP/1.1 connection: uvicorn's, with a bound on the head of a request and a way to cut a peer off.

The parser collects a header until it is complete, however long that takes; without a bound one connection could fill
the memory. ``scope["regista.abort"]`` ends a connection whose peer does not read, without waiting for it.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_REFUSAL = (
    b'{"type":"urn:regista:problem:headers_too_large","title":"Request Header Fields Too Large","status":431,'
    b'"code":"headers_too_large","detail":"the head of the request is too large","hint":null,"instance":null,'
    b'"reasons":[]}'
)


def bounded(max_head: int) -> type[asyncio.Protocol]:
    """A connection class that answers 431 to a head of more than ``max_head`` bytes."""

    class Connection(HttpToolsProtocol):
        _pending = 0
        _in_head = True

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._pending += len(data)
            super().data_received(data)
            if self._in_head and self._pending > max_head and not self.transport.is_closing():
                self._refuse()

        def on_message_begin(self) -> None:
            self._in_head = True
            super().on_message_begin()
            self.scope["regista.abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]  # our own key

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._pending = 0
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._in_head = True

        def _refuse(self) -> None:
            head = (
                b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
                b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(_REFUSAL)
            )
            self.transport.write(head + _REFUSAL)
            self.transport.close()

    return Connection
