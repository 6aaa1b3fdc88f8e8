"""One request to change something: the command, who gives it and why, and under which conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, TypeAlias

import orjson

from regista.domain.errors import Invalid
from regista.domain.events import Identity, SecretRef
from regista.domain.kinds import KINDS
from regista.registrar.commands import Command

_REMARKABLE = re.compile(rb'[\\\x7f]|"\s*":')
"""In JSON of ASCII alone: what is escaped, the one control character that is not, and keys without a name."""
_CAUSE = re.compile(rf"(?:{'|'.join(KINDS)})/[a-z0-9._/-]{{1,300}}@[1-9][0-9]{{0,17}}", re.ASCII)
"""An event, by its stream and its sequence there."""
_COMMAND_ID = re.compile(r"[!-~]{1,255}", re.ASCII)
IfMatch: TypeAlias = tuple[int, ...] | Literal["*"] | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an identifier, how it is known, and the W3C trace context of the request."""

    actor: str
    identity: Identity
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """``digest``: 32 bytes that are equal for equal requests only; the same key with another digest is refused.

    ``plain``: every text can be printed as it is, and every key has a name, as in nearly all requests: seen in the
    JSON form that is hashed, at a hundredth of what a look at each text costs.
    """

    digest: bytes
    plain: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A command and all that came with it.

    ``command_id`` is the caller's idempotency key, or None. ``if_match`` holds the sequences of which one must be the
    last that touched the resource; ``*`` asks only that it exists. ``cause`` is the event that led to it, as
    ``<stream>@<sequence>``: it is kept in the events, and is no part of what makes two requests the same. ``secrets`` are
    those that the command brings, by name, None for one to be made; once they are ``kept`` elsewhere none is here.
    """

    command: Command
    caller: Caller
    reason: str | None = None
    command_id: str | None = None
    if_match: IfMatch = None
    dry_run: bool = False
    cause: str | None = None
    secrets: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    kept: Mapping[str, SecretRef] = field(default_factory=dict)

    def seal(self) -> Seal:
        """What identifies the request, and what was seen of its texts on the way."""
        try:
            body = orjson.dumps((self.command, self.reason, self.if_match), option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # longs over 64 bit, lone surrogates: no event can hold them, the rules say so
            body = repr((self.command, self.reason, self.if_match)).encode("utf-8", "backslashreplace")
        digest = sha256(type(self.command).__name__.encode() + b"\0" + body).digest()
        return Seal(digest, body.isascii() and _REMARKABLE.search(body) is None)


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


def check_cause(cause: str | None) -> str | None:
    """Return what led to a command where it names an event, or nothing.

    Raises:
        Invalid: ``bad_cause``.
    """
    if cause is not None and _CAUSE.fullmatch(cause) is None:
        raise Invalid(
            "the cause names no event",
            code="bad_cause",
            hint="Write <stream>@<sequence>, for example model/fraud@12, or leave it out.",
        )
    return cause
