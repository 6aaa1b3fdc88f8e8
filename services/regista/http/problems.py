"""Every error that leaves the API is an RFC 9457 problem: ``application/problem+json`` with code, hint and reasons.

One layer catches what the routes and the other layers raise. What is not a :class:`RegistaError` is a defect: it is
logged with a correlation id, and the client sees that id and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any
from uuid import uuid4

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regista.domain.errors import (
    Internal,
    Invalid,
    Malformed,
    NotFound,
    Reason,
    RegistaError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from regista.http.lingering import Incoming, finish

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("regista.http")
_PLACES = frozenset({"body", "query", "path", "header", "cookie"})


class Problem(Response):
    """A problem document as a response, with the headers that its status asks for or the error brings as ``headers``."""

    media_type = MEDIA_TYPE

    def __init__(self, error: RegistaError, *, instance: str, status: int | None = None) -> None:
        self.error = error
        status = status or error.status
        headers = {"cache-control": "no-store", **getattr(error, "headers", {})}
        if isinstance(error, Unavailable):
            headers["retry-after"] = str(max(1, ceil(error.retry_after)))
        if isinstance(error, Unauthenticated):
            headers["www-authenticate"] = 'Bearer realm="regista"'
        super().__init__(document(error, status, instance), status, headers)


def document(error: RegistaError, status: int, instance: str) -> bytes:
    """The body of a problem, as JSON."""
    content: dict[str, Any] = {
        "type": f"urn:regista:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.detail,
        "hint": error.hint,
        "instance": instance,
        "reasons": [reason_body(reason) for reason in error.reasons],
    }
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:  # a lone surrogate that came in with the request has no UTF-8 form
        return orjson.dumps(_encodable(content))


def problem(error: Exception, path: str) -> Problem:
    """The problem that answers an error. A defect is logged here, with the id that the answer carries."""
    match error:
        case RegistaError() if not isinstance(error, Internal):
            return Problem(error, instance=path)
        case RequestValidationError():
            return Problem(invalid(error.errors()), instance=path)
        case HTTPException(__cause__=RegistaError() as cause):  # raised by a layer while FastAPI read the body
            return problem(cause, path)
        case HTTPException():
            return _of_framework(error, path)
        case ClientDisconnect():  # nobody gets this answer; it is no defect of ours
            broken = Malformed("The request broke off.", code="request_interrupted", hint="Send it again.")
            return Problem(broken, instance=path)
        case _:
            return _defect(error)


def invalid(found: Sequence[Mapping[str, Any]]) -> RegistaError:
    """What pydantic found wrong with a request: one reason per field. Broken JSON is malformed, not invalid."""
    for one in found:
        if one["type"] == "json_invalid":
            why = one.get("ctx", {}).get("error", one["msg"])
            return Malformed(f"the body is not JSON: {why}", code="malformed_json")
    reasons = [Reason(str(one["type"]), str(one["msg"]), _field(one["loc"])) for one in found]
    detail = "; ".join(f"{reason.field}: {reason.detail}" for reason in reasons[:3])
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return Invalid(detail + more, hint="the fields and their types are in /openapi.json", reasons=reasons)


class Problems:
    """The layer that answers errors. What a started response raises can only be logged; the connection then ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and answer what is raised."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        incoming = Incoming(receive)

        async def observed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, incoming, observed)
        except Exception as error:
            if started:
                raise
            answer = problem(error, scope["path"])
            await finish(answer, scope, incoming, send)


def _of_framework(error: HTTPException, path: str) -> Problem:
    answer = Problem(_translated(error, path), instance=path, status=error.status_code)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _translated(error: HTTPException, path: str) -> RegistaError:
    match error.status_code:
        case 404:
            return NotFound(f"there is nothing at {path}", code="unknown_route", hint="/openapi.json lists all routes")
        case 405:
            allowed = (error.headers or {}).get("Allow", "")
            return Malformed(f"{path} takes {allowed or 'other methods'}", code="method_not_allowed")
        case 400:
            return Malformed(str(error.detail))
        case 413:
            return TooLarge("the body is larger than this route takes")
        case 415:
            return UnsupportedMedia(str(error.detail))
        case status:
            code = HTTPStatus(status).name.lower()
            return RegistaError(str(error.detail), code=code)


def _defect(error: Exception) -> Problem:
    identifier = uuid4()
    _log.error("request failed, id %s", identifier, exc_info=error)
    if isinstance(error, Internal):  # its detail is written for people: what is damaged, and where
        return Problem(error, instance=identifier.urn)
    told = Internal(
        "Regista failed to answer this request",
        hint=f"this is a defect: report it with the id {identifier}, under which the server's log has the cause",
    )
    return Problem(told, instance=identifier.urn)


def _field(location: Sequence[int | str]) -> str:
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in _PLACES:
        del parts[0]
    return ".".join(parts)


def reason_body(reason: Reason) -> dict[str, str | None]:
    """A reason as it stands in a problem."""
    return {"code": reason.code, "detail": reason.detail, "field": reason.field, "hint": reason.hint}


def _encodable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _encodable(item) for key, item in value.items()}
        case list():
            return [_encodable(item) for item in value]
        case _:
            return value
