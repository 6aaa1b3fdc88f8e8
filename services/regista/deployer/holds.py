"""Calls of a process that lost its place, and may be under way still: their targets are given nothing newer meanwhile.

Every function works inside a transaction of the caller, behind a lock on the cursor. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from regista.deployer.actions import Action, Key
from regista.deployer.tables import HOLDS

_MINE: Final = (HOLDS.c.stream == bindparam("of_stream"), HOLDS.c.target == bindparam("of_target"))
_FORGET: Final = HOLDS.delete().where(*_MINE)
_KEEP: Final = HOLDS.insert()
_PASSED: Final = HOLDS.delete().where(HOLDS.c.until <= bindparam("now"))
_ALL: Final = select(HOLDS)
_RELEASE: Final = HOLDS.delete().where(
    *_MINE, HOLDS.c.position == bindparam("of_position"), HOLDS.c.attempts == bindparam("of_attempts")
)


@dataclass(frozen=True, slots=True)
class Hold:
    """What may be under way is of ``position``: the same may be given at once, what is newer from ``until`` on."""

    position: int
    until: float


Held = Mapping[Key, Hold]


def keep(connection: Connection, left: Sequence[Action], until: float) -> None:
    """Let endpoints and targets at which another process left something under way have nothing newer until then."""
    newest = {action.key: action for action in sorted(left, key=lambda action: action.intent.position)}
    if not newest:
        return
    connection.execute(_FORGET, [action.place for action in newest.values()])
    connection.execute(
        _KEEP,
        [
            {
                "stream": action.key[0],
                "target": action.key[1],
                "position": action.intent.position,
                "attempts": action.attempts,
                "until": until,
            }
            for action in newest.values()
        ],
    )


def current(connection: Connection, now: float, longest: float) -> Held:
    """What is held yet. No clock that was set may let it last longer than so many seconds."""
    connection.execute(_PASSED, {"now": now})
    return {
        (row.stream, row.target): Hold(row.position, min(row.until, now + longest))
        for row in connection.execute(_ALL).all()
    }


def release(connection: Connection, ended: Sequence[Action]) -> None:
    """These attempts are not under way any more."""
    for action in sorted(ended, key=lambda action: action.key):
        connection.execute(_RELEASE, {**action.place, "of_attempts": action.attempts})
