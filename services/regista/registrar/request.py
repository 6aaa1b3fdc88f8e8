"""One request to change something: the command, who gives it and why, and under which conditions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias

import orjson

from regista.domain.commands import Command
from regista.domain.errors import Invalid
from regista.domain.events import Identity

_COMMAND_ID = re.compile(r"[!-~]{1,255}", re.ASCII)
IfMatch: TypeAlias = tuple[int, ...] | Literal["*"] | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an identifier, how it is known, and the W3C trace context of the request."""

    actor: str
    identity: Identity
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A command and all that came with it.

    ``command_id`` is the caller's idempotency key, or None. ``if_match`` holds the sequences of which one must be the
    last that touched the resource; ``*`` asks only that it exists.
    """

    command: Command
    caller: Caller
    reason: str | None = None
    command_id: str | None = None
    if_match: IfMatch = None
    dry_run: bool = False

    def digest(self) -> bytes:
        """32 bytes that are equal for equal requests only: the same key with another digest is refused."""
        try:
            body = orjson.dumps((self.command, self.reason, self.if_match), option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # longs over 64 bit, lone surrogates: no event can hold them, the rules say so
            body = repr((self.command, self.reason, self.if_match)).encode("utf-8", "backslashreplace")
        return sha256(type(self.command).__name__.encode() + b"\0" + body).digest()


def check_command_id(key: str) -> str:
    """Return the idempotency key where it is one.

    Raises:
        Invalid: ``bad_idempotency_key``.
    """
    if _COMMAND_ID.fullmatch(key) is None:
        raise Invalid(
            "the idempotency key is not one",
            code="bad_idempotency_key",
            hint="1 to 255 visible ASCII characters, chosen anew for each command: a UUID does.",
        )
    return key
