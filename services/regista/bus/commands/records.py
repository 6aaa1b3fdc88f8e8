"""Orders and their results as Kafka records: Avro single-object encoding, and which key each has.

An order has the stream it writes to as its key, so that the orders of one stream are decided as they were sent; a
result has the command's id.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from regista.bus.commands.mark import MARK
from regista.domain.errors import Damaged, Invalid, Malformed, TooLarge
from regista.domain.references import (
    endpoint_stream,
    environment_stream,
    model_stream,
    subscription_stream,
    target_stream,
)
from regista.schemas.codec import Codec, Decoded, command_codec
from regista.schemas.errors import NotEncodable, SchemaError
from regista.schemas.errors import TooLarge as TooLargeValue
from regista.store.append import Headers
from regista.wire.orders import CommandResult, Order

SOURCE = "regista_source"
"""Header of a result or a dead letter: ``topic/partition/offset`` of the order."""
_COMMAND = "Command"


def encode_order(order: Order) -> bytes:
    """The value of an order.

    Raises:
        TooLarge: it is over 512 KiB.
        Invalid: ``not_encodable``: a field is not what it should be.
    """
    return _encode(command_codec(), _COMMAND, _record(order))


def decode_order(value: bytes | None) -> Order:
    """The order of a value.

    Raises:
        Malformed: ``undecodable_command``: it is none, or of a later release.
    """
    if value is None:
        raise _undecodable("it has no value")
    try:
        decoded = command_codec().decode(bytes(value))
    except SchemaError as error:
        raise _undecodable(str(error)) from error
    if decoded.name != _COMMAND:
        raise _undecodable(f"it is a {decoded.name}")
    return Order(**_known(decoded, Order))


def key_of(order: Order) -> bytes:
    """The key of an order: the stream it writes to. Where that cannot be told, for the order is wrong, its type."""
    named = order.target or _of_body(order)
    try:
        match named:
            case {"model": str(model)}:
                stream = model_stream(model)
            case {"environment": str(environment), "endpoint": str(endpoint)}:
                stream = endpoint_stream(environment, endpoint)
            case {"environment": str(environment)}:
                stream = environment_stream(environment)
            case {"target": str(target)}:
                stream = target_stream(target)
            case {"subscription": str(subscription)}:
                stream = subscription_stream(subscription)
            case _:
                return order.type.encode("utf-8", "replace")
    except Invalid:
        return order.type.encode("utf-8", "replace")
    return stream.encode()


def encode_result(result: CommandResult) -> bytes:
    """The value of a result.

    Raises:
        TooLarge: it is over 512 KiB.
        Invalid: ``not_encodable``.
    """
    return _encode(command_codec(), CommandResult.__name__, _record(result))


def decode_result(value: bytes | None) -> CommandResult:
    """The result of a value.

    Raises:
        Damaged: ``undecodable_result``: it is none.
    """
    try:
        decoded = command_codec().decode(bytes(value or b""))
    except SchemaError as error:
        raise Damaged(f"A record is no result of a command: {error}.", code="undecodable_result") from error
    if decoded.name != CommandResult.__name__:
        raise Damaged(f"A record is no result of a command: it is a {decoded.name}.", code="undecodable_result")
    return CommandResult(**_known(decoded, CommandResult))


def source_name(topic: str, partition: int) -> str:
    """What the store calls a partition of the commands topic."""
    return f"{topic}/{partition}"


def answering(source: str, offset: int, mark: bytes | None) -> Headers:
    """The headers that say which order a result or a dead letter is about, and what that order is known by."""
    place: Headers = ((SOURCE, f"{source}/{offset}".encode()),)
    return place if mark is None else (*place, (MARK, mark.hex().encode()))


def parse_source(header: bytes) -> tuple[str, int]:
    """The source and the offset that the header of an answer names.

    Raises:
        Damaged: it does not.
    """
    source, _, offset = header.decode("utf-8", "replace").rpartition("/")
    if not source or not offset.isdecimal():
        raise Damaged(f"{header!r} is not the source of a command.", code="undecodable_result")
    return source, int(offset)


def _of_body(order: Order) -> dict[str, Any]:
    """What is created by an order whose path names nothing: a model, or an endpoint, by the name in its body."""
    try:
        body = json.loads(order.body or "null")
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    if "environment" in body:
        return {"environment": body["environment"], "endpoint": body.get("name")}
    return {"model": body.get("name")}


def _encode(codec: Codec, name: str, record: dict[str, Any]) -> bytes:
    try:
        return codec.encode(name, record)
    except TooLargeValue as error:
        raise TooLarge(
            f"The command would take {error.size} bytes; the limit is {error.limit}.",
            hint="Upload the large part as an artifact and name it by its digest, or send the command over HTTP.",
        ) from error
    except NotEncodable as error:
        raise Invalid(f"The command cannot be written: {error}.", code="not_encodable") from error


def _record(value: Order | CommandResult) -> dict[str, Any]:
    record = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: dict(found) if name in {"target", "parameters"} else found for name, found in record.items()}


def _known(decoded: Decoded, kind: type[Order | CommandResult]) -> dict[str, Any]:
    return {field.name: decoded.record[field.name] for field in fields(kind)}


def _undecodable(why: str) -> Malformed:
    return Malformed(f"a record is no command: {why}", code="undecodable_command")
