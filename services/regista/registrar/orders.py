"""Orders: commands that came from a queue, with the parts that a request of the HTTP API has, read by the same rules.

One order and one request that say the same become the same command with the same digest, so an id that was used for the
one is answered for the other.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from regista.domain.errors import Invalid, Malformed, Reason, Refused, RegistaError, unknown_parameter
from regista.domain.times import Clock
from regista.http.authentication import check_actor
from regista.http.problems import invalid
from regista.registrar.direct import read_flag
from regista.registrar.preconditions import if_none_match, read_if_match
from regista.registrar.request import Caller, Request, check_cause, check_command_id
from regista.registrar.routes import WRITES
from regista.registrar.writes import Write
from regista.wire.base import Reason as ReasonText
from regista.wire.orders import Order

_REASON: Final[TypeAdapter[str]] = TypeAdapter(ReasonText)
_REASON_FIELD = "reason"


def type_of(write: Write) -> str:
    """What an order calls a write: the operation's name in CamelCase."""
    return "".join(part.title() for part in write.documented.name.split("_"))


_WRITES: Final = {type_of(write): write for write in WRITES}
TYPES: Final = tuple(sorted(_WRITES))
"""Every order there is."""
NAMES: Final = {kind: write.documented.name for kind, write in _WRITES.items()}
"""What the API calls the operation of each."""


def request_of(order: Order) -> Request:
    """The request that an order is.

    Raises:
        RegistaError: it is none, for the reason that the HTTP API would give.
    """
    write = _WRITES.get(order.type)
    if write is None:
        raise Malformed(
            f"there is no command {order.type!r}", code="unknown_command_type", hint=f"There are {', '.join(TYPES)}."
        )
    command_id = check_command_id(order.command_id)
    actor = check_actor(order.actor, "the actor")
    target = _target(order, write)
    parameters = _parameters(order, write)
    body = _body(order, write)
    _check_no_secrets(write, body)
    given = parameters.get(_REASON_FIELD) if body is None else getattr(body, _REASON_FIELD, None)
    command = write.command(target, body, parameters)
    if "if_none_match" in write.documented.headers:
        command = if_none_match(order.if_none_match, command)
    return Request(
        command=command,
        caller=Caller(actor, "asserted", order.traceparent),
        reason=_reason(order, given),
        command_id=command_id,
        if_match=read_if_match(order.if_match),
        dry_run=read_flag(parameters, "dry_run"),
        cause=check_cause(order.cause),
    )


def check_not_expired(order: Order, now: Clock) -> None:
    """Check that a command may still be carried out.

    Raises:
        Refused: ``command_expired``.
    """
    if order.expires_at is not None and now() > order.expires_at:
        raise Refused(
            f"the command was not to be carried out after {order.expires_at.isoformat()}",
            code="command_expired",
            hint="Send it again with a new id if it is still wanted.",
        )


def _target(order: Order, write: Write) -> dict[str, str]:
    wanted = [part[1:-1] for part in write.path.split("/") if part.startswith("{")]
    given = {name: value for name, value in order.target.items() if value}
    if set(given) != set(wanted):
        raise Malformed(
            f"the target of {order.type} has {', '.join(wanted) or 'nothing'}, here are {', '.join(given) or 'none'}",
            code="bad_target",
        )
    return given


def _parameters(order: Order, write: Write) -> dict[str, str]:
    allowed = [parameter.name for parameter in write.documented.query]
    for name in order.parameters:
        if name not in allowed:
            raise unknown_parameter(name, allowed)
    return dict(order.parameters)


def _body(order: Order, write: Write) -> BaseModel | None:
    model: type[BaseModel] | None = write.documented.body
    if model is None:
        if order.body is not None:
            raise Malformed(f"{order.type} has no body", code="unexpected_body")
        return None
    try:
        return model.model_validate_json(order.body or "")
    except ValidationError as error:
        raise _not_valid(error) from None


def _check_no_secrets(write: Write, body: BaseModel | None) -> None:
    """Check that nothing in an order has to be kept secret: a topic is read by many, and forgets nothing.

    Raises:
        Invalid: ``secret_over_kafka``.
    """
    given = write.secrets(body) if write.secrets is not None else {}
    if given:
        raise Invalid(
            f"{', '.join(sorted(given))}: secrets are not taken from a queue",
            code="secret_over_kafka",
            hint=f"{write.method} {write.path} over HTTP takes it. Replace the secret: who reads the topic has seen it.",
            reasons=[Reason("secret_over_kafka", f"{name} is a secret", name) for name in sorted(given)],
        )


def _reason(order: Order, given: str | None) -> str | None:
    if order.reason is None or order.reason == given:
        return given
    if given is not None:
        raise Malformed("the command gives two reasons", code="two_reasons", hint="Give one, anywhere.")
    try:
        return _REASON.validate_python(order.reason)
    except ValidationError as error:
        raise _not_valid(error, _REASON_FIELD) from None


def _not_valid(error: ValidationError, *place: str) -> RegistaError:
    found: list[dict[str, Any]] = [
        {**one, "loc": (*place, *one["loc"])} for one in error.errors(include_url=False, include_input=False)
    ]
    return invalid(found)
