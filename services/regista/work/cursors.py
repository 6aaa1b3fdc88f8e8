"""Where consumers stand in a log, as the work database keeps it: each function inside a transaction of the caller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from regista.domain.identifiers import new_id
from regista.projections.feed import START, Mark
from regista.work.tables import CONSUMERS, STARTS

# Statements are made once: to make one costs more than to execute it.
_MINE: Final = CONSUMERS.c.name == bindparam("of_name")
_READ: Final = select(
    CONSUMERS.c.log_id, CONSUMERS.c.position, CONSUMERS.c.hash, CONSUMERS.c.effects_from, CONSUMERS.c.epoch
).where(_MINE)
_LOCK: Final = _READ.with_for_update()
_MOVE: Final = (
    CONSUMERS.update()
    .where(
        _MINE,
        CONSUMERS.c.epoch == bindparam("of_epoch"),
        CONSUMERS.c.position == bindparam("of_position"),
        CONSUMERS.c.hash == bindparam("of_hash"),
    )
    .values(position=bindparam("to_position"), hash=bindparam("to_hash"))
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a consumer stands in a log. ``effects_from``: the first position whose events have effects."""

    log_id: str
    mark: Mark
    effects_from: int
    epoch: str


def read(connection: Connection, name: str, *, lock: bool = False) -> Cursor | None:
    """Where a consumer stands; None where it never began. ``lock``: nobody else moves it until the transaction ends."""
    found = connection.execute(_LOCK if lock else _READ, {"of_name": name}).first()
    if found is None:
        return None
    return Cursor(found.log_id, Mark(found.position, bytes(found.hash)), found.effects_from, found.epoch)


def position_of(connection: Connection, name: str) -> int:
    """How far a consumer has followed the log; 0 where it never began."""
    return connection.execute(select(CONSUMERS.c.position).where(CONSUMERS.c.name == name)).scalar() or 0


def move(connection: Connection, name: str, there: Cursor, moved: Cursor) -> bool:
    """Compare and set; whether it stood where it was thought to."""
    stood = {"of_name": name, "of_epoch": there.epoch, "of_position": there.mark.position, "of_hash": there.mark.hash}
    now = {"to_position": moved.mark.position, "to_hash": moved.mark.hash}
    done = connection.execute(_MOVE, {**stood, **now})
    return done.rowcount == 1


def claim(connection: Connection, name: str, there: Cursor) -> Cursor:
    """Go on from where a consumer stands, under an epoch of one's own."""
    claimed = replace(there, epoch=new_id())
    connection.execute(CONSUMERS.update().where(CONSUMERS.c.name == name), {"epoch": claimed.epoch})
    return claimed


def begin(connection: Connection, name: str, log_id: str, effects_from: int, why: str) -> Cursor:
    """Stand before a log's first event, and note why."""
    cursor = Cursor(log_id, START, effects_from, new_id())
    connection.execute(CONSUMERS.delete().where(CONSUMERS.c.name == name))
    connection.execute(
        CONSUMERS.insert(),
        {
            "name": name,
            "log_id": log_id,
            "position": START.position,
            "hash": START.hash,
            "effects_from": effects_from,
            "epoch": cursor.epoch,
        },
    )
    started = {"name": name, "log_id": log_id, "started_at": datetime.now(UTC).isoformat()}
    connection.execute(STARTS.insert(), {**started, "effects_from": effects_from, "why": why})
    return cursor


def was_told(connection: Connection, name: str, log_id: str, start: int) -> bool:
    """Whether the last that a consumer was told is to begin there."""
    last = connection.execute(
        select(STARTS.c.effects_from, STARTS.c.why)
        .where(STARTS.c.name == name, STARTS.c.log_id == log_id)
        .order_by(STARTS.c.started_at.desc())
        .limit(1)
    ).first()
    return last is not None and tuple(last) == (start, "told")
