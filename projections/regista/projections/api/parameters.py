"""Query parameters: read strictly, described for OpenAPI from the same table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from regista.domain.errors import AtUnsupported, Malformed

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100
_MAX_POSITION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: how it is read, and how OpenAPI describes it."""

    name: str
    description: str
    parse: Callable[[str, str], Any] = lambda _, text: text
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False

    def openapi(self) -> dict[str, Any]:
        """The parameter object of OpenAPI 3.1."""
        return {
            "name": self.name,
            "in": "query",
            "required": self.required,
            "description": self.description,
            "schema": dict(self.schema),
        }


def whole_number(low: int, high: int) -> Callable[[str, str], int]:
    """A parser for integers of a range."""

    def parse(name: str, text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(high)) and low <= int(text) <= high):
            raise Malformed(f"{name}={text[:40]!r} is not a whole number from {low} to {high}", code="bad_parameter")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[str, str], str]:
    """A parser for words of a list."""

    def parse(name: str, text: str) -> str:
        if text not in choices:
            raise Malformed(f"{name}={text[:40]!r} is none of {', '.join(choices)}", code="bad_parameter")
        return text

    return parse


def integer(
    name: str, description: str, low: int = 0, high: int = _MAX_POSITION, default: int | None = None
) -> Parameter:
    """An integer parameter."""
    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    if default is not None:
        schema["default"] = default
    return Parameter(name, description, whole_number(low, high), schema)


def choice(name: str, description: str, *choices: str) -> Parameter:
    """A parameter of a few words, the first of which is the default."""
    return Parameter(
        name, description, one_of(*choices), {"type": "string", "enum": list(choices), "default": choices[0]}
    )


def words(name: str, description: str, *choices: str) -> Parameter:
    """A parameter of a few words, none of which is meant where it is left out."""
    return Parameter(name, description, one_of(*choices), {"type": "string", "enum": list(choices)})


MIN_POSITION = integer("min_position", "Answer for this position at least: waits up to 2 seconds, then 503.")
LIMIT = integer("limit", "Items on a page.", 1, MAX_LIMIT, DEFAULT_LIMIT)
PAGE = Parameter("page", "The `next` of the page before.")
AT = Parameter("at", "A moment: a position, or a time (RFC 3339, with a zone). The answer is as of then.")
FILTER = Parameter(
    "filter",
    "Comparisons (= != < <= > >= LIKE ILIKE IN) over name, version, stage, alias, author, format, created_at, tags.k, "
    "metrics.k, params.k, joined by AND: `tags.team = 'risk' AND metrics.auc > 0.9`.",
)


def read_parameters(request: Request, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """The parameters given, parsed.

    Raises:
        AtUnsupported: ``at`` where it has no meaning.
        Malformed: ``unknown_parameter``, ``bad_parameter``, ``missing_parameter``.
    """
    values: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        parameter = known.get(name)
        if parameter is None:
            raise _unknown(name, known)
        if name in values:
            raise Malformed(f"{name} is given twice", code="bad_parameter")
        values[name] = parameter.parse(name, text)
    for parameter in known.values():
        if parameter.required and parameter.name not in values:
            raise Malformed(f"{parameter.name} is missing", code="missing_parameter", hint=parameter.description)
    return values


def _unknown(name: str, known: Mapping[str, Parameter]) -> Malformed:
    if name == "at":
        return AtUnsupported(
            "this query has no history to look into",
            hint="at= works on model, version, stage, alias, production, environment and endpoint; /v1/diff compares two moments.",
        )
    return Malformed(
        f"{name[:80]!r} is not a parameter of this query",
        code="unknown_parameter",
        hint=f"It takes {', '.join(sorted(known)) or 'none'}.",
    )


def table(*parameters: Parameter) -> dict[str, Parameter]:
    """Parameters by name; every query takes ``min_position``."""
    return {parameter.name: parameter for parameter in (*parameters, MIN_POSITION)}


def openapi_parameters(path: str, parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """The parameters of a route, those in its path first."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
        *(parameter.openapi() for parameter in parameters),
    ]
