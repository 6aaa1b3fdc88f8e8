"""``If-Match``: the caller has seen the resource at a sequence, and wants to change that and nothing newer.

The entity tag of a resource is the last sequence of its stream that touched it (RFC 9110, section 13.1.1).
"""

from __future__ import annotations

from regista.domain import commands as c
from regista.domain.errors import NotFound, PreconditionFailed
from regista.domain.model.lookup import find_version
from regista.domain.model.state import ModelState
from regista.registrar.request import IfMatch


def check_if_match(state: ModelState, command: c.Command, if_match: IfMatch) -> None:
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


def _touched(state: ModelState, command: c.Command) -> int:
    """The sequence that last touched the resource; 0: it does not exist."""
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
