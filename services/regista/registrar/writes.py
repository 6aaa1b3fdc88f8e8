"""What a write of the API is: one row of the table from which routes and the orders of queues are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel

from regista.registrar.commands import Command
from regista.registrar.direct import HEADERS, Documented, Parameter
from regista.wire.resources import Plan

Path: TypeAlias = dict[str, str]
Query: TypeAlias = dict[str, str]
ToCommand: TypeAlias = Callable[[Path, Any, Query], Command]
SecretsOf: TypeAlias = Callable[[Any], Mapping[str, str | None]]
"""The secrets in a body, by name; None: one that is to be made."""

DRY_RUN = Parameter("dry_run", bool, "Answer with the events that this would append, and append nothing.", False)
REASON = Parameter("reason", str | None, "Why.")


@dataclass(frozen=True, slots=True)
class Write:
    """One row of the API: where, what it reads, which command it becomes, and which secrets that brings."""

    method: str
    path: str
    documented: Documented
    command: ToCommand
    secrets: SecretsOf | None = None


def write(
    method: str,
    path: str,
    name: str,
    summary: str,
    tag: str,
    answer: type[BaseModel],
    command: ToCommand,
    *,
    body: type[BaseModel] | None = None,
    query: tuple[Parameter, ...] = (),
    creates: bool = False,
    headers: tuple[str, ...] = HEADERS,
    secrets: SecretsOf | None = None,
) -> Write:
    """A row, with what every write has; ``path`` is below ``/v1/``."""
    documented = Documented(name, summary, tag, answer | Plan, body, (*query, DRY_RUN), creates, headers)
    return Write(method, f"/v1/{path}", documented, command, secrets)
