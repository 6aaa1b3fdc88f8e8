"""``decide`` on one subscription: create, change, rotate, remove."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from regista.domain import events as e
from regista.domain.context import Context, need_reason
from regista.domain.errors import Internal, Invalid, NotFound, Reason, Refused, Retired
from regista.domain.references import check_name
from regista.domain.secrets import GivenSecret, secret_problems
from regista.domain.subscription import filters
from regista.domain.subscription.addresses import SIGNING, URL
from regista.domain.subscription.commands import (
    Command,
    CreateSubscription,
    RemoveSubscription,
    RotateSubscriptionSecret,
    UpdateSubscription,
)
from regista.domain.subscription.state import NOTHING, SubscriptionState
from regista.domain.texts import check_texts

TEMPLATES = ("cloudevents", "slack")
LONGEST = 30 * 86_400
"""Seconds that a secret may count on after a rotation."""
_JUDGED_ELSEWHERE = frozenset({"subscription", "types", "models", "streams", "environments", "actors", "template"})


def decide(state: SubscriptionState, command: Command, context: Context) -> list[e.Event]:
    """The events that follow from the command: one.

    Raises:
        RegistaError: when the rules say no; nothing follows then.
    """
    if not context.plain:
        check_texts(command, context.reason, _JUDGED_ELSEWHERE)
    check_name(command.subscription, "id of a subscription")
    if isinstance(command, CreateSubscription):
        return [_create(state, command, context)]
    _check_open(state, command)
    match command:
        case UpdateSubscription():
            return [_changed(state, _updated(state, command, context), context)]
        case RotateSubscriptionSecret():
            return [_changed(state, _rotated(state, command, context), context)]
        case RemoveSubscription():
            need_reason(context, "removing a subscription")
            return [e.SubscriptionRemoved(state.name, state.now)]


def _create(state: SubscriptionState, command: CreateSubscription, context: Context) -> e.Event:
    """Take the id.

    Raises:
        Refused: ``name_taken``: ids are not given again, since deliveries are told by them.
        Invalid: ``invalid_subscription`` with every reason.
    """
    if state.sequence:
        raise Refused(
            f"there {'was' if state.removed else 'is'} a subscription {state.name}",
            code="name_taken",
            hint="Choose another id, or leave it out: one is made.",
        )
    now = replace(
        NOTHING,
        url=command.url,
        template=command.template.lower(),
        description=command.description,
        **_filters(command),
    )
    _check(command, now, context)
    now = replace(now, secrets=_taken(command.secrets, context))
    return e.SubscriptionCreated(command.subscription, **_fields(now))


def _updated(state: SubscriptionState, command: UpdateSubscription, context: Context) -> e.Subscribed:
    """What the subscription becomes.

    Raises:
        Invalid: ``nothing_to_change``, ``reason_required``; ``invalid_subscription`` with every reason.
    """
    before = state.now
    given = _filters(command)
    for name in ("url", "template", "description"):
        value = getattr(command, name)
        if value is not None:
            given[name] = value
    if not given and command.disabled is None:
        raise Invalid("the update changes nothing", code="nothing_to_change", hint="Give at least one field.")
    if command.disabled is not None and command.disabled != before.disabled:
        need_reason(context, "disabling a subscription" if command.disabled else "enabling a subscription")
        given["disabled"] = command.disabled
        given["disabled_reason"] = context.reason if command.disabled else None
    now = replace(before, **given)
    now = replace(now, template=now.template.lower())
    _check(command, now, context)
    if command.secrets:
        signing = [secret for secret in before.secrets if secret.name != URL]
        now = replace(now, secrets=(*signing, *_same_or_new(before, _taken(command.secrets, context))))
    return now


def _rotated(state: SubscriptionState, command: RotateSubscriptionSecret, context: Context) -> e.Subscribed:
    """What the subscription becomes: the secret before counts for a while, and one still before that no more.

    Raises:
        Invalid: ``bad_keep_seconds``.
        Refused: ``same_secret``.
    """
    if not 0 <= command.keep_seconds <= LONGEST:
        raise Invalid(
            f"keep_seconds is {command.keep_seconds}",
            code="bad_keep_seconds",
            hint=f"0 to {LONGEST}: how long receivers have to take the new secret.",
        )
    _refuse_all(list(secret_problems(command.secrets, context.kept)))
    [new] = _taken(command.secrets, context)
    signing = [secret for secret in state.now.secrets if secret.name == SIGNING]
    rest = [secret for secret in state.now.secrets if secret.name != SIGNING]
    if any(secret.fingerprint == new.fingerprint for secret in signing):
        raise Refused(
            "the secret is one that deliveries are signed with already",
            code="same_secret",
            hint="Give another, or none: one is made.",
        )
    expires = _now(context) + timedelta(seconds=command.keep_seconds)
    kept = [replace(signing[0], expires_at=expires)] if signing and command.keep_seconds else []
    return replace(state.now, secrets=(new, *kept, *rest))


def _changed(state: SubscriptionState, now: e.Subscribed, context: Context) -> e.Event:
    """The event of a change. A secret whose time is up is not named any more."""
    at = _now(context)
    counting = tuple(s for s in now.secrets if s.expires_at is None or s.expires_at > at)
    return e.SubscriptionChanged(state.name, **_fields(replace(now, secrets=counting)), previous=state.now)


def _check_open(state: SubscriptionState, command: Command) -> None:
    """Check that there is such a subscription.

    Raises:
        NotFound: ``unknown_subscription``.
        Retired: ``subscription_removed``.
    """
    if state.removed:
        raise Retired(
            f"the subscription {state.name} was removed",
            code="subscription_removed",
            hint="POST /v1/subscriptions creates another.",
        )
    if not state.exists:
        raise NotFound(
            f"there is no subscription {command.subscription}",
            code="unknown_subscription",
            hint="GET /v1/subscriptions lists them; POST creates one.",
        )


def _check(command: CreateSubscription | UpdateSubscription, now: e.Subscribed, context: Context) -> None:
    """Check what a subscription is to become.

    Raises:
        Invalid: ``invalid_subscription`` with every reason.
    """
    reasons = [*_filter_problems(now), *secret_problems(command.secrets, context.kept)]
    if now.template not in TEMPLATES:
        hint = f"There is {' and '.join(TEMPLATES)}."
        reasons.append(Reason("unknown_template", f"{now.template[:80]!r} is no template", "template", hint))
    _refuse_all(reasons)


def _refuse_all(reasons: Sequence[Reason]) -> None:
    if reasons:
        raise Invalid(
            "; ".join(reason.detail for reason in reasons[:3]),
            code=reasons[0].code if len(reasons) == 1 else "invalid_subscription",
            hint=reasons[0].hint,
            reasons=reasons,
        )


def _filter_problems(now: e.Subscribed) -> Iterator[Reason]:
    for field in ("types", "models", "streams", "environments", "actors"):
        yield from filters.size_problems(getattr(now, field), field)
    yield from filters.type_problems(now.types)
    yield from filters.model_problems(now.models)
    yield from filters.stream_problems(now.streams)
    yield from filters.environment_problems(now.environments)
    yield from filters.actor_problems(now.actors)


def _filters(command: CreateSubscription | UpdateSubscription) -> dict[str, Any]:
    """The filters that are given, as events name things."""
    given: dict[str, Any] = {}
    if command.types is not None:
        given["types"] = tuple(map(filters.full_type, command.types))
    for name in ("models", "streams", "environments"):
        names = getattr(command, name)
        if names is not None:
            given[name] = tuple(map(str.lower, names))
    if command.actors is not None:
        given["actors"] = command.actors
    return given


def _taken(given: Sequence[GivenSecret], context: Context) -> tuple[e.SecretRef, ...]:
    """Where the secrets lie that a command brings: that to sign with first."""
    return tuple(context.kept[secret.name] for secret in sorted(given, key=lambda secret: secret.name))


def _same_or_new(before: e.Subscribed, given: Sequence[e.SecretRef]) -> Iterator[e.SecretRef]:
    """Each as it is kept already, where it is the same."""
    for new in given:
        same = (s for s in before.secrets if (s.name, s.fingerprint) == (new.name, new.fingerprint))
        yield next(same, new)


def _fields(now: e.Subscribed) -> dict[str, Any]:
    return {name: getattr(now, name) for name in e.Subscribed.__slots__}


def _now(context: Context) -> datetime:
    if context.now is None:
        raise Internal("the decision needs to know the time", code="no_time")
    return context.now
