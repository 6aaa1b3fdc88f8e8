"""A load generator that costs little itself: raw HTTP/1.1 over kept-alive connections, one request in flight on each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

Make: TypeAlias = Callable[[int, int], bytes | None]
"""From the number of a client and of its request to the request; None: the client is done."""


@dataclass
class Result:
    """What a run came to: seconds per request, in no order, and how often each status was answered."""

    seconds: float
    latencies: list[float]
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that this share of the requests stayed under."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def request(method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if body or method in {"POST", "PUT", "PATCH"}:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last is complete."""

    def __init__(self, client: int, make: Make, result: Result, *, keep: bool) -> None:
        self._client, self._make, self._result, self._keep = client, make, result, keep
        self._sent = 0
        self._buffer = bytearray()
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        data = self._make(self._client, self._sent)
        if data is None:
            self._transport.close()
            return
        self._sent += 1
        self._began = time.perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.find(b"content-length: ", 0, head)
        length = int(self._buffer[at + 16 : self._buffer.find(b"\r\n", at)])
        if len(self._buffer) < head + 4 + length:
            return
        self._result.latencies.append(time.perf_counter() - self._began)
        self._result.statuses[int(self._buffer[9:12])] += 1
        if self._keep:
            self._result.bodies.append(bytes(self._buffer[head + 4 :]))
        self._buffer.clear()
        self._next()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def drive(port: int, clients: int, make: Make, *, keep: bool = False) -> Result:
    """Run ``clients`` connections until ``make(client, number)`` gives None for each."""
    loop = asyncio.get_running_loop()
    result = Result(0.0, [])
    began = time.perf_counter()
    made = [
        await loop.create_connection(partial(_Connection, client, make, result, keep=keep), "127.0.0.1", port)
        for client in range(clients)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    result.seconds = time.perf_counter() - began
    return result
