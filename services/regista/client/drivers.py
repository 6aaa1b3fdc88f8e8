"""The two ways to perform an operation's effects: blocking, and on an event loop. No rule of the registry is here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from regista.client.errors import explained
from regista.client.exchange import (
    Close,
    Done,
    Effect,
    Emit,
    FileBody,
    Open,
    Opened,
    Receive,
    Request,
    Response,
    Run,
    Send,
    Sleep,
    Steps,
    TransportFault,
    advance,
    fail,
)
from regista.client.session import Session
from regista.client.settings import Settings

T = TypeVar("T")
_UPLOAD_CHUNK = 1 << 18


@dataclass(slots=True, eq=False)
class _Stream:
    response: httpx.Response
    chunks: Any


def _options(settings: Settings) -> dict[str, Any]:
    """How both clients of httpx are made. A proxy of the environment never stands before this machine itself.

    Certificates are read only where they are needed: reading them takes longer than a request.
    """
    secure = settings.url.startswith("https:")
    return {
        "timeout": httpx.Timeout(settings.timeout, connect=min(10.0, settings.timeout)),
        "trust_env": not settings.loopback,
        "verify": secure,
        "follow_redirects": False,
        "limits": httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=30),
    }


def _headers(request: Request) -> dict[str, str]:
    size = {"Content-Length": str(request.body.size)} if isinstance(request.body, FileBody) else {}
    return {**request.headers, **size}


def _timeout(request: Request) -> Any:  # noqa: ANN401 - httpx's own sentinel has no public type
    return httpx.USE_CLIENT_DEFAULT if request.timeout is None else httpx.Timeout(request.timeout)


def _chunks(body: FileBody) -> Iterator[bytes]:
    with body.path.open("rb") as file:
        file.seek(body.start)
        left = body.size
        while left > 0 and (chunk := file.read(min(left, _UPLOAD_CHUNK))):
            left -= len(chunk)
            yield chunk
            if body.sent:
                body.sent(body.size - left, body.size)


async def _achunks(body: FileBody) -> AsyncIterator[bytes]:
    chunks = _chunks(body)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


def _fault(error: httpx.HTTPError) -> TransportFault:
    text = str(error)
    # Whoever forgot to set REGISTA_URL sees where it was looked for.
    url = error.request.url
    where = f"{url.scheme}://{url.netloc.decode()}"
    return TransportFault(f"{type(error).__name__} at {where}" + (f": {text}" if text else ""))


def _response(answer: httpx.Response, content: bytes = b"") -> Response:
    return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, content)


def _parts(base: str, request: Request, body: Any) -> dict[str, Any]:  # noqa: ANN401 - bytes or either kind of iterator
    return {
        "method": request.method,
        "url": base + request.path,
        "params": request.query or None,
        "headers": _headers(request),
        "content": body,
        "timeout": _timeout(request),
    }


class SyncDriver:
    """Performs effects by blocking the calling thread. Threads may share one."""

    _session: Session

    def __init__(self, session: Session, transport: httpx.BaseTransport | None = None) -> None:
        self._session = session
        self._http = httpx.Client(transport=transport, **_options(session.settings))

    def _run(self, steps: Steps[T]) -> T:
        with explained(), ExitStack() as streams:
            streams.callback(steps.close)
            effect = advance(steps)
            while not isinstance(effect, Done):
                effect = self._step(steps, effect, streams)
            return effect.value

    def _iterate(self, steps: Steps[None]) -> Iterator[Any]:
        with explained(), ExitStack() as streams:
            streams.callback(steps.close)
            effect = advance(steps)
            while not isinstance(effect, Done):
                if isinstance(effect, Emit):
                    yield from effect.items
                effect = self._step(steps, effect, streams)

    def _step(self, steps: Steps[T], effect: Effect, streams: ExitStack) -> Effect | Done[T]:
        try:
            result = self._perform(effect, streams)
        except httpx.TransportError as error:
            return fail(steps, _fault(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the operation's to handle
            return fail(steps, error)
        return advance(steps, result)

    def _perform(self, effect: Effect, streams: ExitStack) -> object:
        match effect:
            case Send(request):
                answer = self._http.send(self._build(request))
                return _response(answer, answer.content)
            case Open(request, chunk):
                return self._open(request, chunk, streams)
            case Receive(_Stream() as stream):
                return next(stream.chunks, None)
            case Close(_Stream() as stream):
                stream.response.close()
            case Sleep(seconds):
                time.sleep(seconds)
            case Run(work):
                return work()
        return None

    def _build(self, request: Request) -> httpx.Request:
        body = _chunks(request.body) if isinstance(request.body, FileBody) else request.body
        return self._http.build_request(**_parts(self._session.settings.url, request, body))

    def _open(self, request: Request, chunk: int | None, streams: ExitStack) -> Opened:
        answer = self._http.send(self._build(request), stream=True)
        streams.callback(answer.close)
        if not answer.is_success:
            return Opened(_response(answer, answer.read()), None)
        return Opened(_response(answer), _Stream(answer, answer.iter_raw(chunk)))

    def close(self) -> None:
        """Close the connections. Nothing can be asked afterwards."""
        self._http.close()


class AsyncDriver:
    """Performs effects on the running event loop; slow local work goes to a thread."""

    _session: Session

    def __init__(self, session: Session, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._session = session
        self._http = httpx.AsyncClient(transport=transport, **_options(session.settings))

    async def _run(self, steps: Steps[T]) -> T:
        with explained():
            async with AsyncExitStack() as streams:
                streams.callback(steps.close)
                effect = advance(steps)
                while not isinstance(effect, Done):
                    effect = await self._step(steps, effect, streams)
                return effect.value

    async def _iterate(self, steps: Steps[None]) -> AsyncIterator[Any]:
        with explained():
            async with AsyncExitStack() as streams:
                streams.callback(steps.close)
                effect = advance(steps)
                while not isinstance(effect, Done):
                    if isinstance(effect, Emit):
                        for item in effect.items:
                            yield item
                    effect = await self._step(steps, effect, streams)

    async def _step(self, steps: Steps[T], effect: Effect, streams: AsyncExitStack) -> Effect | Done[T]:
        try:
            result = await self._perform(effect, streams)
        except httpx.TransportError as error:
            return fail(steps, _fault(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the operation's to handle
            return fail(steps, error)
        return advance(steps, result)

    async def _perform(self, effect: Effect, streams: AsyncExitStack) -> object:
        match effect:
            case Send(request):
                answer = await self._http.send(self._build(request))
                return _response(answer, answer.content)
            case Open(request, chunk):
                return await self._open(request, chunk, streams)
            case Receive(_Stream() as stream):
                return await anext(stream.chunks, None)
            case Close(_Stream() as stream):
                await stream.response.aclose()
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Run(work):
                return await asyncio.to_thread(work)
        return None

    def _build(self, request: Request) -> httpx.Request:
        body = _achunks(request.body) if isinstance(request.body, FileBody) else request.body
        return self._http.build_request(**_parts(self._session.settings.url, request, body))

    async def _open(self, request: Request, chunk: int | None, streams: AsyncExitStack) -> Opened:
        answer = await self._http.send(self._build(request), stream=True)
        streams.push_async_callback(answer.aclose)
        if not answer.is_success:
            return Opened(_response(answer, await answer.aread()), None)
        return Opened(_response(answer), _Stream(answer, answer.aiter_raw(chunk)))

    async def aclose(self) -> None:
        """Close the connections. Nothing can be asked afterwards."""
        await self._http.aclose()
