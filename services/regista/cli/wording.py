"""Hints of the API in the words of this program: what to type, in place of routes and fields."""

from __future__ import annotations

import re
from typing import Final

_COMMANDS: Final = tuple(
    (re.compile(pattern), command)
    for pattern, command in (
        (r"GET /v1/models/([^ /]+)/versions lists them", r"`regista ls \1` lists them"),
        (r"GET /v1/models lists them", "`regista ls` lists them"),
        (r"GET /v1/models/([^ /]+) lists its aliases", r"`regista alias ls \1` lists its aliases"),
        (
            r"POST /v1/models with name '\S+' registers it; regista register does so by itself",
            "`regista ls` lists those there are; `regista register` takes a new name",
        ),
        (r"POST /v1/models with name '(\S+)' registers it", r"`regista model create \1` registers it"),
        (r"PUT /v1/environments/([^ /.]+)\b", r"`regista environment define \1 --stages …`"),
        (r"GET /v1/environments\b", "`regista environment ls`"),
        (r"PUT /v1/targets/([^ /]+)", r"`regista target put \1 --kind …`"),
        (
            r"PATCH /v1/endpoints/([^ /]+/[^ /]+) with follow '([^']+)' lets it",
            r"`regista endpoint update \1 --follow \2` lets it",
        ),
        (r"PATCH /v1/endpoints/(\S+) with other targets", r"`regista endpoint update \1 --target …`"),
        (r"PATCH /v1/endpoints/\{environment\}/\{name\}", "`regista endpoint update ENVIRONMENT/NAME --target …`"),
        (r"PATCH /v1/endpoints/([^ /,]+/[^ /,.]+)", r"`regista endpoint update \1`"),
        (r"GET /v1/targets\b", "`regista target ls`"),
        (
            r"GET /v1/subscriptions lists them; POST creates one",
            "`regista webhook ls` lists them; `webhook add` creates one",
        ),
        (r"GET /v1/subscriptions\b", "`regista webhook ls`"),
        (r"PATCH /v1/subscriptions/(\S+) with disabled false", r"`regista webhook enable \1 --reason …`"),
        (r"POST /v1/subscriptions/([^ /]+)/replay\b", r"`regista webhook replay \1 --from N`"),
        (r"POST /v1/subscriptions\b", "`regista webhook add`"),
        (r"POST /v1/endpoints\b", "`regista endpoint create`"),
        (r"GET /v1/endpoints\b", "`regista endpoint ls`"),
        (r"PATCH /v1/models/([^ /]+)/versions/(\S+?)(?=\.?$)", r"`regista update \1 \2`"),
        (r"GET /v1/status\b", "`regista status`"),
        (r"POST /v1/artifacts\b", "`regista push`"),
        (r"min_position is a position that a write answered", "The registry was reset, or is another one"),
        (r"repeating it with command_id='([^']+)'", r"repeating it with --command-id \1"),
        (
            r"^(?:send Authorization: Bearer <token>; )?clients read (?:it from )?REGISTA_TOKEN$",
            "Set REGISTA_TOKEN, or give --token.",
        ),
        (r"\bleave_empty\b", "--leave-empty"),
        (r"\bkeep_existing\b", "--keep-existing"),
        (r"\bexpect_current\b", "--expect"),
        (r"\bexpect_change\b", "--expect-change"),
        (r"Data elsewhere are named by .*", "Data elsewhere are named by --dataset NAME@VERSION or NAME@sha256:…."),
    )
)


def in_options(hint: str) -> str:
    """The same hint for somebody at a shell; what it does not know stays as it is."""
    for pattern, command in _COMMANDS:
        hint = pattern.sub(command, hint)
    return hint
