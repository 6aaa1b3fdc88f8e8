"""``If-Match``: the caller has seen the resource at a sequence, and wants to change that and nothing newer.

The entity tag of a resource is the last sequence of its stream that touched it (RFC 9110, section 13.1.1).
``If-None-Match: *``: there must be none yet (13.1.2).
"""

from __future__ import annotations

import re
from dataclasses import replace

from regista.domain import commands as c
from regista.domain.context import State
from regista.domain.errors import Malformed, NotFound, PreconditionFailed
from regista.domain.model.lookup import find_version
from regista.domain.model.state import ModelState
from regista.registrar.commands import Command
from regista.registrar.request import IfMatch

_TAG = re.compile('"([0-9]{1,18})"', re.ASCII)
"""An entity tag of ours: the last sequence of the stream that touched the resource."""


def read_if_match(header: str | None) -> IfMatch:
    """What ``If-Match`` says; tags that are not ours match nothing."""
    if header is None or header.strip() == "*":
        return None if header is None else "*"
    tags = (tag.strip() for tag in header.split(","))
    return tuple(int(found[1]) for tag in tags if (found := _TAG.fullmatch(tag)))


def if_none_match(header: str | None, command: Command) -> Command:
    """The command with the precondition that nothing is there yet, where ``*`` asks for it.

    Raises:
        Malformed: it names entity tags, or the body expects somebody: both would be left out of account.
    """
    if header is None or not isinstance(command, c.AssignAlias):
        return command
    if header.strip() != "*":
        raise Malformed("only * is understood here", code="bad_if_none_match", hint="If-Match takes the alias's ETag.")
    if command.expect_current not in (c.UNSET, None):
        raise Malformed("If-None-Match: * and expect_current cannot both hold", code="bad_if_none_match")
    return replace(command, expect_current=None)


def check_if_match(state: State, command: Command, if_match: IfMatch) -> None:
    """Check the condition against the resource that the command changes.

    Raises:
        PreconditionFailed: ``if_match_failed``, naming the tag that would have matched.
    """
    if if_match is None:
        return
    touched = _touched(state, command)
    if touched and (if_match == "*" or touched in if_match):
        return
    raise PreconditionFailed(
        f'the resource is at "{touched}" now' if touched else "the resource does not exist",
        code="if_match_failed",
        hint="Somebody was faster. Read it again, and decide anew.",
    )


def _touched(state: State, command: Command) -> int:
    """The sequence that last touched the resource; 0: it does not exist."""
    if not isinstance(state, ModelState):
        return state.sequence if state.exists else 0
    match command:
        case c.AssignAlias() | c.RemoveAlias():
            alias = command.alias.lower()
            return (state.alias_touched.get(alias) or 0) if state.aliases.get(alias) is not None else 0
        case c.UpdateVersion() | c.RecordEvaluation() | c.ReportCheck() | c.Promote() | c.Archive():
            try:
                return find_version(state, command.ref).touched
            except NotFound:
                return 0
        case _:
            return state.sequence
