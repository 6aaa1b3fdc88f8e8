"""The routes of the writes: each names its command and leaves all else to the registrar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import orjson
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from regista.domain import commands as c
from regista.domain.errors import NotFound, RegistaError
from regista.domain.events import Identity
from regista.registrar import conversion as to
from regista.registrar.acknowledge import Executor
from regista.registrar.answers import Outcome
from regista.registrar.commands import Command
from regista.registrar.direct import HEADERS, Documented, Parameter, add_route, read_body, read_flag, read_query
from regista.registrar.preconditions import if_none_match, read_if_match
from regista.registrar.request import Caller, check_cause
from regista.registrar.request import Request as CommandRequest
from regista.wire import requests as q
from regista.wire import resources as r

Path: TypeAlias = dict[str, str]
Query: TypeAlias = dict[str, str]
Observe: TypeAlias = Callable[[str, str, float], None]
"""Called with the command's name, ``done`` or an error's code, and the seconds it took."""

_IF_NONE_MATCH = "if_none_match"
_DRY_RUN = Parameter("dry_run", bool, "Answer with the events that this would append, and append nothing.", False)
_REASON = Parameter("reason", str | None, "Why.")
_CREATE = Parameter("create", bool, "Take the model's name, too, where it is new: both or neither.", False)
_LEAVE_EMPTY = Parameter("leave_empty", bool, "Do it although nothing is in production then.", False)
_EXPECT = Parameter("expect_current", str | None, "The version that the alias must point at now, else 412.")


class Principal(Protocol):
    """What authentication found out."""

    @property
    def actor(self) -> str:
        """Who."""

    @property
    def identity(self) -> Identity:
        """How that is known."""


@dataclass(frozen=True, slots=True)
class Write:
    """One row of the API: where, what it reads, and which command it becomes."""

    method: str
    path: str
    documented: Documented
    command: Callable[[Path, Any, Query], Command]


def _write(
    method: str,
    path: str,
    name: str,
    summary: str,
    tag: str,
    answer: type[BaseModel],
    command: Callable[[Path, Any, Query], Command],
    *,
    body: type[BaseModel] | None = None,
    query: tuple[Parameter, ...] = (),
    creates: bool = False,
    headers: tuple[str, ...] = HEADERS,
) -> Write:
    documented = Documented(name, summary, tag, answer | r.Plan, body, (*query, _DRY_RUN), creates, headers)
    return Write(method, f"/v1/models{path}", documented, command)


_VERSION = "/{model}/versions/{ref}"
WRITES = (
    _write("POST", "", "register_model", "Register a model", "models", r.ModelWritten,
           lambda _, b, __: to.register_model(b), body=q.RegisterModel, creates=True),
    _write("PATCH", "/{model}", "update_model", "Change what describes a model", "models", r.ModelWritten,
           lambda p, b, _: to.update_model(p["model"], b), body=q.UpdateModel),
    _write("DELETE", "/{model}", "retire_model", "Retire a model", "models", r.ModelWritten,
           lambda p, _, qs: c.RetireModel(p["model"], read_flag(qs, "leave_empty")), query=(_REASON, _LEAVE_EMPTY)),
    _write("POST", "/{model}/revive", "revive_model", "Revive a retired model", "models", r.ModelWritten,
           lambda p, _, __: c.ReviveModel(p["model"]), body=q.ReviveModel),
    _write("POST", "/{model}/versions", "register_version", "Register a version", "versions", r.VersionWritten,
           lambda p, b, qs: to.register_version(p["model"], b, create=read_flag(qs, "create")),
           body=q.RegisterVersion, query=(_CREATE,), creates=True),
    _write("PATCH", _VERSION, "update_version", "Describe a version, or complete an import", "versions",
           r.VersionWritten, lambda p, b, _: to.update_version(p["model"], p["ref"], b), body=q.UpdateVersion),
    _write("POST", _VERSION + "/evaluations", "record_evaluation", "Add an evaluation", "versions", r.VersionWritten,
           lambda p, b, _: to.record_evaluation(p["model"], p["ref"], b), body=q.RecordEvaluation, creates=True),
    _write("POST", _VERSION + "/checks", "report_check", "Report the status of a check", "versions", r.VersionWritten,
           lambda p, b, _: to.report_check(p["model"], p["ref"], b), body=q.ReportCheck, creates=True),
    _write("POST", _VERSION + "/promote", "promote", "Promote a version into the next stage", "stages",
           r.VersionWritten, lambda p, b, _: to.promote(p["model"], p["ref"], b), body=q.Promote),
    _write("POST", "/{model}/rollback", "roll_back", "Roll a stage back", "stages", r.VersionWritten,
           lambda p, b, _: to.roll_back(p["model"], b), body=q.RollBack),
    _write("POST", _VERSION + "/archive", "archive", "Archive a version", "stages", r.VersionWritten,
           lambda p, b, _: to.archive(p["model"], p["ref"], b), body=q.Archive),
    _write("PUT", "/{model}/aliases/{alias}", "assign_alias", "Point an alias at a version", "aliases", r.AliasWritten,
           lambda p, b, _: to.assign_alias(p["model"], p["alias"], b), body=q.AssignAlias,
           headers=(*HEADERS, _IF_NONE_MATCH)),
    _write("DELETE", "/{model}/aliases/{alias}", "remove_alias", "Remove an alias", "aliases", r.AliasWritten,
           lambda p, _, qs: c.RemoveAlias(p["model"], p["alias"], qs.get("expect_current", c.UNSET)),
           query=(_REASON, _EXPECT)),
)  # fmt: skip
"""Every write of the model stream."""


def command_routes(registrar: Executor, observe: Observe = lambda _command, _outcome, _seconds: None) -> APIRouter:
    """The routes of all writes, and of what became of a command."""
    router = APIRouter()
    for write in WRITES:
        add_route(router, write.method, write.path, write.documented, _handler(registrar, write, observe))

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
            if _IF_NONE_MATCH in write.documented.headers:
                command = if_none_match(request.headers.get("if-none-match"), command)
            answer = await registrar.execute(
                CommandRequest(
                    command=command,
                    caller=_caller(request),
                    reason=query.get("reason") if body is None else getattr(body, "reason", None),
                    command_id=request.headers.get("idempotency-key"),
                    if_match=read_if_match(request.headers.get("if-match")),
                    dry_run=read_flag(query, "dry_run"),
                    cause=check_cause(request.headers.get("regista-cause")),
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
