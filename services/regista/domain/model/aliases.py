"""Decisions on aliases: names that move from version to version."""

from __future__ import annotations

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.errors import NotFound
from regista.domain.model.context import Context
from regista.domain.model.lookup import check_expectation, find_version, open_model
from regista.domain.model.state import ModelState
from regista.domain.references import check_alias


def assign_alias(state: ModelState, command: c.AssignAlias, _: Context) -> list[e.Event]:
    """Point an alias at a version. Pointing it where it points already is recorded too: somebody said so."""
    open_model(state, command.model)
    alias = check_alias(command.alias)
    current = state.aliases.get(alias)
    version = find_version(state, command.ref)
    check_expectation(state, command.expect_current, current, f"alias {alias} of {state.name}")
    return [
        e.AliasAssigned(
            model=state.name,
            alias=alias,
            version=str(version.number),
            ordinal=version.ordinal,
            artifact_digest=version.digest,
            previous_version=None if current is None else str(state.versions[current].number),
        )
    ]


def remove_alias(state: ModelState, command: c.RemoveAlias, _: Context) -> list[e.Event]:
    """Remove an alias.

    Raises:
        NotFound: ``unknown_alias``.
    """
    open_model(state, command.model)
    alias = check_alias(command.alias)
    current = state.aliases.get(alias)
    if current is None:
        raise NotFound(
            f"{state.name} has no alias {alias}",
            code="unknown_alias",
            hint=f"GET /v1/models/{state.name} lists its aliases.",
        )
    check_expectation(state, command.expect_current, current, f"alias {alias} of {state.name}")
    previous = state.versions[current]
    return [
        e.AliasRemoved(
            model=state.name, alias=alias, previous_version=str(previous.number), previous_ordinal=previous.ordinal
        )
    ]
