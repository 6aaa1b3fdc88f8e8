"""The client's writes over Kafka: what the SDK would send to a registry becomes an order, its result the answer.

So whoever publishes commands has the methods of ``AsyncClient``, with the same types and the same errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, unquote

import httpx

from regista.domain.errors import Malformed
from regista.wire.orders import SENT, CommandResult, Order

_ROOT = "/v1/"


class OverKafka(httpx.AsyncBaseTransport):
    """Answers an HTTP request by publishing it and waiting for its result."""

    def __init__(self, carry_out: Callable[[Order], Awaitable[CommandResult]]) -> None:
        self._carry_out = carry_out

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Publish, wait, answer.

        Raises:
            RegistaError: it was not published, or no result came in time.
        """
        path, _, query = request.url.raw_path.decode().partition("?")
        body = await request.aread()
        order = order_of(request.method, path, dict(parse_qsl(query, keep_blank_values=True)), request.headers, body)
        result = await self._carry_out(order)
        headers = {"content-type": "application/json" if result.done else "application/problem+json"}
        if result.position:
            headers["regista-position"] = str(result.position)
        return httpx.Response(result.status, headers=headers, content=result.body.encode())


def order_of(method: str, path: str, parameters: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Order:
    """The order that says what a request of the API says.

    Raises:
        Malformed: ``unknown_route``: no command has this method and path.
    """
    segments = path.removeprefix(_ROOT).split("/")
    for (verb, template), kind in SENT.items():
        parts = template.split("/")
        if verb != method or len(parts) != len(segments):
            continue
        pairs = list(zip(parts, segments, strict=True))
        if all(part.startswith("{") or part == segment for part, segment in pairs):
            return Order(
                command_id=headers["idempotency-key"],
                actor=unquote(headers["regista-actor"]),
                type=kind,
                target={part[1:-1]: unquote(segment) for part, segment in pairs if part.startswith("{")},
                parameters=parameters,
                body=body.decode() if body else None,
                if_match=headers.get("if-match"),
                if_none_match=headers.get("if-none-match"),
                traceparent=headers.get("traceparent"),
                cause=headers.get("regista-cause"),
            )
    raise Malformed(f"{method} {path} is no command that can be published", code="unknown_route")
