"""The routes of the writes: what each reads becomes its command, and what it led to the answer."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, Protocol, TypeAlias

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from regista.domain.errors import NotFound, RegistaError
from regista.domain.events import Identity
from regista.registrar.acknowledge import Executor
from regista.registrar.answers import Outcome
from regista.registrar.deployment_reports import add_report_routes
from regista.registrar.deployment_writes import DEPLOYMENT_WRITES
from regista.registrar.direct import Documented, add_route, read_body, read_flag, read_query
from regista.registrar.model_writes import IF_NONE_MATCH, MODEL_WRITES
from regista.registrar.preconditions import if_none_match, read_if_match
from regista.registrar.request import Caller, check_cause
from regista.registrar.request import Request as CommandRequest
from regista.registrar.subscription_conversion import identified
from regista.registrar.subscription_writes import SUBSCRIPTION_WRITES
from regista.registrar.writes import Write
from regista.wire import resources as r

Observe: TypeAlias = Callable[[str, str, float], None]
"""Called with the command's name, ``done`` or an error's code, and the seconds it took."""

WRITES: Final = (*MODEL_WRITES, *DEPLOYMENT_WRITES, *SUBSCRIPTION_WRITES)
"""Every write of the API."""


class Principal(Protocol):
    """What authentication found out."""

    @property
    def actor(self) -> str:
        """Who."""

    @property
    def identity(self) -> Identity:
        """How that is known."""


def command_routes(registrar: Executor, observe: Observe = lambda _command, _outcome, _seconds: None) -> APIRouter:
    """The routes of all writes, and of what became of a command."""
    router = APIRouter()
    for write in WRITES:
        add_route(router, write.method, write.path, write.documented, _handler(registrar, write, observe))

    add_report_routes(router, registrar, observe)

    async def get_command(request: Request) -> Response:
        read_query(request, ())
        command_id = request.path_params["command_id"]
        outcome = await registrar.find(_caller(request).actor, command_id)
        if outcome is None:
            raise NotFound(
                f"you gave no command {command_id}",
                code="unknown_command",
                hint="Ids are the caller's own: ask as the actor who gave it. A refused command leaves no trace.",
            )
        return _response(outcome)

    documented = Documented("get_command", "What became of a command of yours", "commands", r.Written, headers=())
    add_route(router, "GET", "/v1/commands/{command_id}", documented, get_command)
    return router


def _handler(registrar: Executor, write: Write, observe: Observe) -> Callable[[Request], Any]:
    body_model = write.documented.body
    allowed = tuple(parameter.name for parameter in write.documented.query)
    name = write.documented.name

    async def handle(request: Request) -> Response:
        started = perf_counter()
        outcome = "failed"
        try:
            query = read_query(request, allowed)
            body = await read_body(request, body_model) if body_model is not None else None
            command = write.command(request.path_params, body, query)
            if IF_NONE_MATCH in write.documented.headers:
                command = if_none_match(request.headers.get("if-none-match"), command)
            caller, command_id = _caller(request), request.headers.get("idempotency-key")
            answer = await registrar.execute(
                CommandRequest(
                    command=identified(command, caller.actor, command_id),
                    caller=caller,
                    reason=query.get("reason") if body is None else getattr(body, "reason", None),
                    command_id=command_id,
                    if_match=read_if_match(request.headers.get("if-match")),
                    dry_run=read_flag(query, "dry_run"),
                    cause=check_cause(request.headers.get("regista-cause")),
                    secrets={} if write.secrets is None else write.secrets(body),
                )
            )
        except RegistaError as error:
            outcome = error.code
            raise
        else:
            outcome = "replayed" if answer.answer.get("replayed") else "done"
            return _response(answer)
        finally:
            observe(name, outcome, perf_counter() - started)

    return handle


def _caller(request: Request) -> Caller:
    principal: Principal = request.state.principal
    return Caller(principal.actor, principal.identity, request.headers.get("traceparent"))


def _response(outcome: Outcome) -> Response:
    headers = {"regista-position": str(outcome.position)} if outcome.position else {}
    return Response(orjson.dumps(outcome.answer), outcome.status, headers, "application/json")
