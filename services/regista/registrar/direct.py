"""Routes whose handlers are called with the bare request, and that stand in the OpenAPI document all the same.

FastAPI's resolution of dependencies costs more than a decision. A write is declared as a row; from it come the
signature that FastAPI documents, and the handler that never passes through it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Header, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from regista.domain.errors import Malformed, UnsupportedMedia, unknown_parameter
from regista.plain_route import Handler, PlainRoute

B = TypeVar("B", bound=BaseModel)

_KEY = "Idempotency-Key"
_HEADERS: dict[str, tuple[str, str]] = {
    "idempotency_key": (
        _KEY,
        "The same key with the same body is answered as the first time; with another body it is refused.",
    ),
    "if_match": ("If-Match", "Entity tag that the resource must still have, else 412."),
    "traceparent": ("traceparent", "W3C trace context; it is kept in the event."),
    "cause": ("Regista-Cause", "The event that led to this, as `<stream>@<sequence>`; it is kept in the event."),
    "if_none_match": ("If-None-Match", "`*`: there must be none yet, else 412."),
}
HEADERS = ("idempotency_key", "if_match", "traceparent", "cause")
"""What every write reads."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter in the OpenAPI document."""

    name: str
    type: Any
    description: str
    default: Any = None


@dataclass(frozen=True, slots=True)
class Documented:
    """What the OpenAPI document says of a route. ``body`` None: it reads none."""

    name: str
    summary: str
    tag: str
    answer: Any
    body: type[BaseModel] | None = None
    query: tuple[Parameter, ...] = ()
    creates: bool = False
    headers: tuple[str, ...] = HEADERS


def add_route(router: APIRouter, method: str, path: str, documented: Documented, handler: Handler) -> None:
    """Add a direct route with its documentation.

    It raises ``Malformed`` (``repeated_header``) for two idempotency keys: whichever was taken, a proxy or the caller
    could mean the other.
    """

    async def endpoint(request: Request) -> Response:
        if len(request.headers.getlist(_KEY)) > 1:
            raise Malformed(
                f"{_KEY} is given twice", code="repeated_header", hint="One command has one key: send one of them."
            )
        return await handler(request)

    endpoint.__name__ = documented.name
    endpoint.__doc__ = None
    endpoint.__signature__ = _signature(path, documented)  # type: ignore[attr-defined]  # what inspect looks for
    answer = {"model": documented.answer, "description": "Done, or done before with this idempotency key."}
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        name=documented.name,
        operation_id=documented.name,
        summary=documented.summary,
        tags=[documented.tag],
        response_model=documented.answer,
        status_code=201 if documented.creates else 200,
        responses={200: answer} if documented.creates else None,
        route_class_override=PlainRoute,
    )


async def read_body(request: Request, model: type[B]) -> B:
    """The body as a model.

    Raises:
        UnsupportedMedia: it is not announced as JSON.
        RequestValidationError: it is not JSON, or does not fit; the layer of problems answers it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMedia(
            f"{kind or 'no content type'} is not read here", hint="Send Content-Type: application/json."
        )
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None


def read_query(request: Request, allowed: tuple[str, ...]) -> dict[str, str]:
    """The query parameters, each once.

    Raises:
        Malformed: ``unknown_parameter`` or ``repeated_parameter``.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise unknown_parameter(name, allowed)
        if name in given:
            raise Malformed(f"{name} is given twice", code="repeated_parameter")
        given[name] = value
    return given


def read_flag(query: dict[str, str], name: str) -> bool:
    """A parameter that is ``true`` or ``false``; false when absent.

    Raises:
        Malformed: ``bad_parameter``.
    """
    match query.get(name, "false").lower():
        case "true" | "1" | "":
            return True
        case "false" | "0":
            return False
        case other:
            raise Malformed(f"{name}={other} is neither true nor false", code="bad_parameter", hint=f"{name}=true")


def _signature(path: str, documented: Documented) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(part[1:-1], keyword, annotation=Annotated[str, Path()])
        for part in path.split("/")
        if part.startswith("{")
    ]
    if documented.body is not None:
        parameters.append(inspect.Parameter("body", keyword, annotation=Annotated[documented.body, Body()]))
    parameters += [
        inspect.Parameter(
            q.name, keyword, default=q.default, annotation=Annotated[q.type, Query(description=q.description)]
        )
        for q in documented.query
    ]
    for name in documented.headers:
        alias, description = _HEADERS[name]
        annotation = Annotated[str | None, Header(alias=alias, description=description)]
        parameters.append(inspect.Parameter(name, keyword, default=None, annotation=annotation))
    return inspect.Signature(parameters)
