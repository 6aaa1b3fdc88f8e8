"""From request bodies to commands on subscriptions. Addresses and secrets are looked at here, and go no further."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from regista.domain.errors import Invalid, Reason
from regista.domain.identifiers import new_id
from regista.domain.secrets import GivenSecret
from regista.domain.subscription import addresses
from regista.domain.subscription import commands as c
from regista.domain.subscription.addresses import SIGNING, URL
from regista.registrar.commands import Command
from regista.wire import subscriptions as q

_ID_BYTES = 16


def create_subscription(body: q.CreateSubscription) -> c.CreateSubscription:
    """``POST /v1/subscriptions``. Its id is empty where none is given: see ``identified``.

    Raises:
        Invalid: ``bad_url``, ``bad_secret``.
    """
    url = body.url.get_secret_value()
    _check([*addresses.url_problems(url), *_secret_problems(body)])
    return c.CreateSubscription(
        subscription=body.id or "",
        url=addresses.origin(url),
        types=tuple(body.types),
        models=tuple(body.models),
        streams=tuple(body.streams),
        environments=tuple(body.environments),
        actors=tuple(body.actors),
        template=body.template,
        description=body.description,
        secrets=(GivenSecret(SIGNING), GivenSecret(URL)),
    )


def update_subscription(subscription: str, body: q.UpdateSubscription) -> c.UpdateSubscription:
    """``PATCH /v1/subscriptions/{subscription}``.

    Raises:
        Invalid: ``bad_url``.
    """
    url = None if body.url is None else body.url.get_secret_value()
    if url is not None:
        _check(list(addresses.url_problems(url)))
    return c.UpdateSubscription(
        subscription,
        url=None if url is None else addresses.origin(url),
        types=_names(body.types),
        models=_names(body.models),
        streams=_names(body.streams),
        environments=_names(body.environments),
        actors=_names(body.actors),
        template=body.template,
        description=body.description,
        disabled=body.disabled,
        secrets=() if url is None else (GivenSecret(URL),),
    )


def rotate_secret(subscription: str, body: q.RotateSecret) -> c.RotateSubscriptionSecret:
    """``POST …/rotate``.

    Raises:
        Invalid: ``bad_secret``.
    """
    _check(list(_secret_problems(body)))
    return c.RotateSubscriptionSecret(subscription, body.keep_seconds, (GivenSecret(SIGNING),))


def created_secrets(body: q.CreateSubscription) -> dict[str, str | None]:
    """What a subscription is created with."""
    return {**rotated_secrets(body), URL: body.url.get_secret_value()}


def updated_secrets(body: q.UpdateSubscription) -> dict[str, str | None]:
    """Its new address, where one is given."""
    return {} if body.url is None else {URL: body.url.get_secret_value()}


def rotated_secrets(body: q.CreateSubscription | q.RotateSecret) -> dict[str, str | None]:
    """What deliveries are signed with from now on; None: it is made."""
    return {SIGNING: None if body.secret is None else body.secret.get_secret_value()}


def identified(command: Command, actor: str, command_id: str | None) -> Command:
    """The command with an id for what it creates without one: the same when it is sent again."""
    if not isinstance(command, c.CreateSubscription) or command.subscription:
        return command
    if command_id is None:
        return replace(command, subscription=new_id())
    told = sha256(f"{actor}\0{command_id}".encode("utf-8", "surrogatepass")).digest()[:_ID_BYTES]
    return replace(command, subscription=b32encode(told).decode().rstrip("=").lower())


def _names(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _secret_problems(body: q.CreateSubscription | q.RotateSecret) -> Iterable[Reason]:
    return () if body.secret is None else addresses.secret_problems(body.secret.get_secret_value())


def _check(reasons: list[Reason]) -> None:
    if reasons:
        raise Invalid(
            "; ".join(reason.detail for reason in reasons),
            code=reasons[0].code if len(reasons) == 1 else "invalid_subscription",
            hint=reasons[0].hint,
            reasons=reasons,
        )
