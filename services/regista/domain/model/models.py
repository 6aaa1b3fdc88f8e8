"""Decisions on the model itself: register, update, retire, revive."""

from __future__ import annotations

from collections.abc import Mapping

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.context import need_reason
from regista.domain.errors import Invalid, NotFound, Reason, Refused
from regista.domain.model.context import Context
from regista.domain.model.lookup import open_model, unknown_model
from regista.domain.model.metadata_rules import identifier_problem
from regista.domain.model.state import ModelState
from regista.domain.policy import DEFAULT_POLICY
from regista.domain.references import check_model_name


def register_model(state: ModelState, command: c.RegisterModel, _: Context) -> list[e.Event]:
    """Take the name.

    Raises:
        Refused: ``name_taken``, also after retirement: names are never reused.
    """
    check_model_name(command.model)
    _check_owner(command.owner)
    if state.exists:
        raise Refused(
            f"the name {command.model} is taken" + (f" (as {state.name})" if state.name != command.model else ""),
            code="name_taken",
            hint=f"regista revive {state.name} takes it up again." if state.retired else "Register a version of it.",
        )
    _check_policy(command.policy)
    return [
        e.ModelRegistered(
            model=command.model,
            title=command.title,
            description=command.description,
            owner=command.owner,
            tags=dict(command.tags),
            policy=command.policy,
        )
    ]


def update_model(state: ModelState, command: c.UpdateModel, _: Context) -> list[e.Event]:
    """Change what describes the model. An empty text clears title, description or owner."""
    open_model(state, command.model)
    _check_owner(command.owner or None)
    tags_set, tags_removed = split_tags(command.tags)
    given = (command.title, command.description, command.owner, command.policy)
    if all(value is None for value in given) and not tags_set and not tags_removed:
        raise nothing_to_change()
    if command.policy is not None:
        _check_policy(command.policy)
    return [
        e.ModelUpdated(
            model=state.name,
            title=command.title,
            description=command.description,
            owner=command.owner,
            tags_set=tags_set,
            tags_removed=tags_removed,
            policy=command.policy,
            previous_owner=state.owner if command.owner is not None else None,
            previous_policy=state.policy.name if command.policy is not None else None,
        )
    ]


def retire_model(state: ModelState, command: c.RetireModel, context: Context) -> list[e.Event]:
    """Take no more writes.

    Raises:
        Refused: ``still_serving``, while a version is in production and ``leave_empty`` was not given.
    """
    open_model(state, command.model)
    need_reason(context, "retiring a model")
    serving = state.policy.serving
    holders = [
        e.Holder(name, str(state.versions[ordinal].number), ordinal)
        for name, stage in sorted(state.stages.items())
        for ordinal in sorted(stage.holders)
    ]
    serving_now = [h for h in holders if h.stage == serving]
    if serving_now and not command.leave_empty:
        raise Refused(
            f"{state.name} {serving_now[0].version} is in {serving}",
            code="still_serving",
            hint="Archive it first, or retire with leave_empty.",
            reasons=[Reason("still_serving", f"{h.version} is in {serving}", "leave_empty") for h in serving_now],
        )
    return [e.ModelRetired(model=state.name, holders=tuple(holders))]


def revive_model(state: ModelState, command: c.ReviveModel, _: Context) -> list[e.Event]:
    """Take writes again.

    Raises:
        NotFound: ``unknown_model``.
        Refused: ``not_retired``.
    """
    if not state.exists:
        raise unknown_model(command.model)
    if not state.retired:
        raise Refused(f"{state.name} is not retired", code="not_retired", hint="There is nothing to do.")
    return [e.ModelRevived(model=state.name)]


def split_tags(tags: Mapping[str, str | None] | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tags to set, and the names of those to remove."""
    given = tags or {}
    return {k: v for k, v in given.items() if v is not None}, tuple(sorted(k for k, v in given.items() if v is None))


def nothing_to_change() -> Invalid:
    """The refusal of an update that names nothing."""
    return Invalid("the update changes nothing", code="nothing_to_change", hint="Give at least one field.")


def _check_owner(owner: str | None) -> None:
    problem = None if owner is None else identifier_problem(owner, "owner")
    if problem is not None:
        raise Invalid(problem.detail, code="invalid_metadata", hint=problem.hint, reasons=[problem])


def _check_policy(name: str) -> None:
    if name != DEFAULT_POLICY.name:
        raise NotFound(
            f"there is no policy {name}", code="unknown_policy", hint=f"Leave it out, or name {DEFAULT_POLICY.name!r}."
        )
