"""What may be sent: how much, and of which kind. Judged before a byte of the body is read, and while it is read.

JSON routes take ``application/json`` up to ``max_body``; the routes named as uploads take any type up to their own
limit, and stream it. A body is refused by its announced length, and a body without one as soon as it has passed the
limit, so that no body over its limit is ever held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regista.domain.errors import RegistaError, TooLarge, UnsupportedMedia
from regista.http.lingering import announced

MAX_TARGET = 8 * 2**10
"""Bytes of path and query together (RFC 9110 asks for at least 8,000)."""
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A route that takes bytes instead of JSON: method, path, and the most it takes."""

    method: str
    path: str
    limit: int


class TargetTooLong(RegistaError):
    """The path and query are longer than any route needs."""

    status = 414
    default_code = "target_too_long"


class HeadersTooLarge(RegistaError):
    """The headers are larger than any route needs."""

    status = 431
    default_code = "headers_too_large"


class Limits:
    """The layer that refuses what is too large or of the wrong kind.

    Raises:
        TooLarge, UnsupportedMedia, TargetTooLong, HeadersTooLarge: for :class:`Problems` to answer.
    """

    def __init__(self, app: ASGIApp, *, max_body: int, max_head: int, uploads: Sequence[Upload] = ()) -> None:
        self._app = app
        self._max_body = max_body
        self._max_head = max_head
        self._uploads = {(upload.method, upload.path): upload.limit for upload in uploads}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the limits, or raise."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            self._judge_head(scope)
            length = announced(headers)
            if length != 0:
                receive = self._judge_body(scope, headers, receive, length)
        await self._app(scope, receive, send)

    def _judge_head(self, scope: Scope) -> None:
        target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target > MAX_TARGET:
            raise TargetTooLong(f"path and query have {target} bytes; the limit is {MAX_TARGET}")
        if sum(map(len, chain.from_iterable(scope["headers"]))) + target > self._max_head:
            raise HeadersTooLarge(f"the headers are over the limit of {self._max_head} bytes")

    def _judge_body(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, length: int | None
    ) -> Receive:
        upload = self._uploads.get((scope["method"], scope["path"]))
        limit = self._max_body if upload is None else upload
        if length is not None and length > limit:
            raise _too_large(limit, length, upload is not None)
        if upload is None and scope["method"] not in _BODILESS:
            _judge_media(headers)
        return _counted(receive, limit, upload is not None)


def _judge_media(headers: Mapping[bytes, bytes]) -> None:
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise UnsupportedMedia("a compressed body is not read here", hint="send it without Content-Encoding")
    given = headers.get(b"content-type", b"")
    media, _, parameters = given.lower().partition(b";")
    if media.strip() != b"application/json":
        named = given.decode("latin-1") or "no content type"
        raise UnsupportedMedia(f"this route reads application/json, not {named}")
    charset = parameters.strip().removeprefix(b"charset=").strip(b'"')
    if parameters.strip().startswith(b"charset=") and charset not in (b"utf-8", b"utf8", b"us-ascii"):
        raise UnsupportedMedia("JSON is UTF-8 (RFC 8259)")


def _counted(receive: Receive, limit: int, uploads: bool) -> Receive:
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise _too_large(limit, None, uploads)
        return message

    return counting


def _too_large(limit: int, length: int | None, uploads: bool) -> RegistaError:
    said = f"the body of {length:,} bytes" if length is not None else "the body"
    variable = "REGISTA_MAX_UPLOAD" if uploads else "REGISTA_MAX_BODY"
    hint = f"the limit is the setting {variable}"
    if not uploads:
        hint += "; files belong into an upload (POST /v1/artifacts), which the version then names by digest"
    return TooLarge(f"{said} is over the limit of {limit:,} bytes", code="body_too_large", hint=hint)
