"""The OpenAPI 3.1 document: what FastAPI derives from the routes, completed to what a generator needs.

Operation ids are the names of the route functions in camel case and stay as they are; every operation names the
problems that it may answer with; the models of requests and answers have their own short names.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from regista.http.authentication import OPEN_PATHS
from regista.wire.resources import Problem

_DESCRIPTION = """\
An event-sourced registry for machine-learning models: every change is an immutable event that says who, why and when.

Every write answers with the `position` of its event, also in the header `Regista-Position`; every read takes
`min_position` and then shows that write. Errors are problem documents (RFC 9457) with a stable `code`, a `hint` and
every reason.
"""
_TAGS = {
    "queries": "Reads of the views; `at` looks into the past.",
    "models": "Names, and what describes them.",
    "versions": "Immutable versions of a model, with everything known about how they were made.",
    "stages": "What is where in the life cycle: promote, roll back, archive.",
    "aliases": "Movable names of versions.",
    "environments": "Where models are served: which stages, in which regions.",
    "targets": "Systems that deployments are made to.",
    "endpoints": "What is served where: traffic, canaries, rollbacks, and what targets report.",
    "subscriptions": "Where events are sent to: webhooks.",
    "deliveries": "Webhooks: what was sent to a subscription, what became of it, and sending it again.",
    "events": "The log: audit, history, and the live stream.",
    "lineage": "What was made of what.",
    "artifacts": "The bytes, by digest.",
    "commands": "What became of a command.",
    "administration": "Verify, rebuild, export, import.",
    "status": "Whether it works.",
}
_ALWAYS = (400, 401, 403, 422, 500, 503)
_WRITES = (404, 409, 410, 412, 413, 415)
_METHODS = ("get", "head", "put", "post", "patch", "delete")
_SAFE = frozenset({"get", "head"})
_PREFIXES = {"regista__wire__requests__": "Request", "regista__wire__resources__": ""}
_ACTOR = {
    "name": "Regista-Actor",
    "in": "header",
    "required": False,
    "description": "Who asks, as the events will say; `anonymous` without it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 256},
}


def operation_id(route: APIRoute) -> str:
    """``register_version`` becomes ``registerVersion``."""
    return _camel(route.name)


def _camel(name: str) -> str:
    first, *others = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in others)


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.operation_id or operation_id(route)
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="An event-sourced model registry",
        description=_DESCRIPTION,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _, definitions = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    schemas.update(definitions["$defs"])
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Needed where REGISTA_TOKEN is set."}
    }
    document["security"] = [{"token": []}, {}]
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                _complete(item[method], method)
            if method in item and path in OPEN_PATHS:
                item[method]["security"] = []
    used = {tag for item in document["paths"].values() for operation in item.values() for tag in operation["tags"]}
    document["tags"] = [{"name": tag, "description": text} for tag, text in _TAGS.items() if tag in used]
    document["tags"] += [{"name": tag} for tag in sorted(used - set(_TAGS))]
    named = cast("dict[str, Any]", _shorter(document, _short_names(schemas)))
    for name, schema in named["components"]["schemas"].items():
        schema["title"] = name  # generators name their classes by it
    return named


def _complete(operation: dict[str, Any], method: str) -> None:
    operation.setdefault("tags", ["other"])
    operation["operationId"] = _camel(operation["operationId"])
    parameters = operation.setdefault("parameters", [])
    in_path = any(parameter.get("in") == "path" for parameter in parameters)
    codes = set(_ALWAYS) | ({404} if in_path else set())
    if method not in _SAFE:
        codes |= set(_WRITES)
        if not any(parameter.get("name", "").lower() == "regista-actor" for parameter in parameters):
            parameters.append(_ACTOR)
    responses = operation["responses"]
    for code in codes | {int(code) for code in responses if code.startswith(("4", "5"))}:
        responses[str(code)] = _problem(code)
    operation["responses"] = dict(sorted(responses.items()))


def _problem(code: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(code).phrase,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if code == HTTPStatus.SERVICE_UNAVAILABLE:
        described["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return described


def _short_names(schemas: dict[str, Any]) -> dict[str, str]:
    names = {}
    for name in schemas:
        for prefix, suffix in _PREFIXES.items():
            if name.startswith(prefix):
                names[name] = name.removeprefix(prefix) + suffix
        if paged := re.fullmatch(r"Page_(\w+)_", name):
            names[name] = f"{paged[1]}Page"
    return names


def _shorter(value: object, names: dict[str, str]) -> object:
    """The document with its models renamed, in their definitions and in every reference."""
    match value:
        case dict():
            return {names.get(key, key): _shorter(item, names) for key, item in value.items()}
        case list():
            return [_shorter(item, names) for item in value]
        case str() if found := re.fullmatch(r"#/components/schemas/(\w+)", value):
            return f"#/components/schemas/{names.get(found[1], found[1])}"
        case _:
            return value
