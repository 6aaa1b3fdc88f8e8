"""The routes of the query API: one table, from which the handlers and their description both come.

Handlers are plain Starlette: parameters are read and answers encoded here, so that a look-up costs little more than
the look-up. OpenAPI describes them all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from regista.domain.references import DEFAULT_STAGES, check_name
from regista.plain_route import PlainRoute
from regista.projections.api import (
    comparing,
    events,
    holders,
    lineage,
    models,
    production,
    versions,
)
from regista.projections.api import parameters as p
from regista.projections.api.answers import Answer
from regista.projections.api.deployment_routes import DEPLOYMENT_ROUTES
from regista.projections.api.queries import Queries
from regista.projections.api.route import LIST, Route
from regista.wire import deployment_views as d
from regista.wire import relations as r
from regista.wire import resources as w

_STAGE_REFERENCES = {f"@{stage}": stage for stage in DEFAULT_STAGES}
_TEXT = {"text/plain": {"schema": {"type": "string"}}, "text/vnd.graphviz": {"schema": {"type": "string"}}}


_ORDER = p.choice("order", "By ordinal.", "desc", "asc")
_EVENT_PARAMETERS = (
    p.integer("after", "Events behind this position (before it, in descending order)."),
    p.LIMIT,
    p.Parameter("stream", "Events of this stream, such as model/fraud."),
    p.Parameter("model", "Events of this model."),
    p.Parameter("version", "With model: events that touched this version; any reference."),
    p.Parameter("endpoint", "Events of this endpoint: prod/fraud."),
    p.Parameter("environment", "Events of this environment and of all endpoints in it."),
    p.Parameter("actor", "Events that this actor caused."),
    p.Parameter("type", "Events of this type: regista.version.promoted.v1, or version.promoted."),
    p.Parameter("since", "From this moment on: a position, or a time (RFC 3339)."),
    p.Parameter("until", "Up to this moment: a position, or a time (RFC 3339)."),
    p.choice("order", "By position.", "asc", "desc"),
)
_LINEAGE_PARAMETERS = (
    p.Parameter(
        "node",
        "kind:name, such as version:fraud/1.4.0 (any reference), dataset:transactions@2026-05, code:<commit>.",
        required=True,
    ),
    p.choice("direction", "What it was made from, what was made of it, or both.", "both", "upstream", "downstream"),
    p.integer("depth", "Edges from the node.", 1, lineage.MAX_DEPTH, lineage.DEFAULT_DEPTH),
    p.choice("format", "JSON, Mermaid or Graphviz.", "json", "mermaid", "dot"),
)

ROUTES = (
    Route("/v1/models", "list_models", "All models, by name", models.listed, w.Page[w.Model], LIST),
    Route("/v1/models/{model}", "get_model", "A model, now or at a moment", models.model, w.Model, (p.AT,)),
    Route(
        "/v1/models/{model}/versions",
        "list_model_versions",
        "Versions of a model, the newest first",
        versions.versions_of,
        w.Page[w.VersionSummary],
        (*LIST, p.FILTER, _ORDER),
    ),
    Route(
        "/v1/models/{model}/versions/{ref}",
        "get_version",
        "A version by any reference, now or at a moment",
        versions.version,
        w.Version,
        (p.AT,),
        quick=True,
    ),
    Route(
        "/v1/models/{model}/aliases",
        "list_aliases",
        "Aliases of a model, now or at a moment",
        holders.aliases,
        w.Page[w.Alias],
        (*LIST, p.AT),
    ),
    Route(
        "/v1/models/{model}/aliases/{alias}",
        "get_alias",
        "Where an alias points, now or at a moment",
        holders.alias,
        w.Alias,
        (p.AT,),
        quick=True,
    ),
    Route(
        "/v1/models/{model}/stages/{stage}",
        "get_stage",
        "What held a stage when, the newest first; at a moment, only its holders",
        holders.stage,
        w.Page[w.StageTenure],
        (*LIST, p.AT),
    ),
    Route(
        "/v1/versions",
        "search_versions",
        "Versions of all models",
        versions.search,
        w.Page[w.VersionSummary],
        (*LIST, p.FILTER),
    ),
    Route(
        "/v1/production",
        "get_production",
        "Everything in production, now or at a moment",
        production.production,
        w.Page[d.Production],
        (
            *LIST,
            p.AT,
            p.Parameter("model", "Of this model only."),
            p.Parameter("environment", "With the endpoints of this environment only."),
        ),
    ),
    *DEPLOYMENT_ROUTES,
    Route("/v1/events", "list_events", "Events, by position", events.events, w.EventPage, _EVENT_PARAMETERS),
    Route(
        "/v1/lineage",
        "get_lineage",
        "What a thing was made from, and what was made of it",
        lineage.lineage,
        r.Lineage,
        _LINEAGE_PARAMETERS,
        media=_TEXT,
    ),
    Route(
        "/v1/compare",
        "compare_versions",
        "Two versions side by side",
        comparing.compare,
        r.Comparison,
        (
            p.Parameter("left", "MODEL/REF", required=True),
            p.Parameter("right", "MODEL/REF", required=True),
        ),
    ),
    Route(
        "/v1/diff",
        "get_diff",
        "What changed hands between two moments",
        comparing.diff,
        r.Diff,
        (
            p.Parameter("from", "A position, or a time (RFC 3339).", required=True),
            p.Parameter("to", "A position, or a time (RFC 3339); now where it is left out."),
            p.Parameter("model", "Of this model only."),
        ),
    ),
)


_TAGGED = frozenset(
    {"get_model", "get_version", "get_alias", "get_environment", "get_target", "get_endpoint", "get_subscription"}
)
"""Those that answer with an ETag."""


def query_routes(queries: Queries) -> APIRouter:
    """Every read of the views. Errors are ``RegistaError``; the application turns them into problem+json."""
    router = APIRouter(route_class=PlainRoute)
    for route in ROUTES:
        endpoint = _endpoint(queries, route)
        if route.name == "get_version":
            endpoint = _hot(queries, endpoint)
        content: dict[str, Any] = {"description": "The answer", "headers": _headers()}
        if route.media is not None:
            content["content"] = dict(route.media)
        problems: dict[int | str, dict[str, Any]] = {
            status: {"description": "A problem", "model": w.Problem} for status in (400, 404, 409, 422, 503)
        }
        not_modified: dict[int | str, dict[str, Any]] = {304: {"description": "Not modified since If-None-Match"}}
        router.add_api_route(
            route.path,
            endpoint,
            methods=["GET"],
            name=route.name,
            operation_id=route.name,
            summary=route.summary,
            tags=["queries"],
            response_model=route.model,
            responses={200: content, **(not_modified if route.name in _TAGGED else {}), **problems},
            openapi_extra={"parameters": p.openapi_parameters(route.path, (*route.parameters, p.MIN_POSITION))},
        )
    return router


def _endpoint(queries: Queries, route: Route) -> Callable[[Request], Awaitable[Response]]:
    known = p.table(*route.parameters)

    async def endpoint(request: Request) -> Response:
        arguments = {**p.read_parameters(request, known), **request.path_params}
        run = queries.quick if route.quick and "at" not in arguments else queries.thorough
        answer, position = await run(route.read, arguments)
        return respond(request, answer, position)

    return endpoint


def _hot(
    queries: Queries, otherwise: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """The way of a version named by its stage, which deployments ask for all the time: one prepared statement."""

    async def endpoint(request: Request) -> Response:
        stage = _STAGE_REFERENCES.get(request.path_params["ref"])
        if stage is not None and not request.scope["query_string"]:
            found = await queries.holder(check_name(request.path_params["model"], "model name").lower(), stage)
            if found is not None:
                body, sequence, position = found
                return respond(request, Answer(body, sequence), position)
        return await otherwise(request)

    return endpoint


def respond(request: Request, answer: Answer, position: int) -> Response:
    """The answer as HTTP: with its position, its ETag, and 304 where the caller has it already."""
    headers = {"Regista-Position": str(position)}
    if answer.sequence is not None:
        headers["ETag"] = tag = f'"{answer.sequence}"'
        known = request.headers.get("if-none-match")
        if known is not None and _matches(known, tag):
            return Response(status_code=304, headers=headers)
    return Response(answer.body, media_type=answer.media, headers=headers)


def _matches(header: str, tag: str) -> bool:
    """Whether a tag is among those of ``If-None-Match`` (RFC 9110, 13.1.2: weak comparison)."""
    return header.strip() == "*" or tag in (known.strip().removeprefix("W/") for known in header.split(","))


def _headers() -> dict[str, Any]:
    return {
        "Regista-Position": {
            "description": "The position that the answer reflects",
            "schema": {"type": "integer"},
        }
    }
