"""``decide`` on one target: put, remove."""

from __future__ import annotations

from regista.domain import events as e
from regista.domain.context import Context, need_reason
from regista.domain.endpoint.state import EndpointState
from regista.domain.errors import Invalid, NotFound, Reason, Refused
from regista.domain.references import check_name
from regista.domain.secrets import merged, secret_problems
from regista.domain.target.commands import Command, PutTarget, RemoveTarget
from regista.domain.target.settings import setting_problems
from regista.domain.target.state import TargetState
from regista.domain.texts import check_texts

_JUDGED_ELSEWHERE = frozenset({"target", "kind"})


def decide(state: TargetState, command: Command, context: Context) -> list[e.Event]:
    """The events that follow from the command: one.

    Raises:
        RegistaError: when the rules say no; nothing follows then.
    """
    if not context.plain:
        check_texts(command, context.reason, _JUDGED_ELSEWHERE)
    if isinstance(command, PutTarget):
        return [_put(state, command, context)]
    return [_remove(state, command, context)]


def _put(state: TargetState, command: PutTarget, context: Context) -> e.Event:
    """Create a target, or say anew what it is. A name that was removed can be put again: nothing is served by it.

    Raises:
        Invalid: ``invalid_target`` with every reason, ``bad_name``.
    """
    check_name(command.target, "target name")
    check_name(command.kind, "kind of target")
    if reasons := [*setting_problems(command.settings), *secret_problems(command.secrets, context.kept)]:
        raise Invalid(
            f"target {command.target}: {'; '.join(reason.detail for reason in reasons[:3])}",
            code=reasons[0].code if len(reasons) == 1 else "invalid_target",
            hint=reasons[0].hint,
            reasons=reasons,
        )
    name, kind = state.name or command.target, command.kind.lower()
    before = state.secrets if kind == state.kind else ()  # what one kind was trusted with is not handed to another
    secrets = merged(before, command.secrets, command.forget, context.kept)
    if not state.exists:
        return e.TargetCreated(name, kind, command.description, command.settings, secrets)
    return e.TargetChanged(
        target=name,
        kind=kind,
        description=command.description,
        settings=command.settings,
        secrets=secrets,
        previous_kind=state.kind,
        previous_description=state.description,
        previous_settings=state.settings,
        previous_secrets=state.secrets,
    )


def _remove(state: TargetState, command: RemoveTarget, context: Context) -> e.Event:
    """Deploy nothing to it any more.

    Raises:
        NotFound: ``unknown_target``.
        Refused: ``target_in_use``, when an endpoint among the states that the context has is deployed to it.
    """
    check_name(command.target, "target name")
    if not state.exists:
        raise NotFound(
            f"there is no target {command.target}",
            code="unknown_target",
            hint=f"PUT /v1/targets/{command.target} creates it.",
        )
    need_reason(context, "removing a target")
    name = state.name.lower()
    users = sorted(
        f"{other.environment}/{other.name}"
        for other in context.others.values()
        if isinstance(other, EndpointState) and not other.retired and name in map(str.lower, other.targets)
    )
    if users:
        raise Refused(
            f"{', '.join(users)} {'is' if len(users) == 1 else 'are'} deployed to {state.name}",
            code="target_in_use",
            hint="Take it out of the targets of each first: PATCH /v1/endpoints/{environment}/{name}.",
            reasons=[
                Reason(
                    "target_in_use",
                    f"{user} is deployed to it",
                    "target",
                    f"PATCH /v1/endpoints/{user} with other targets",
                )
                for user in users
            ],
        )
    return e.TargetRemoved(state.name, state.kind, state.description, state.settings, state.secrets)
