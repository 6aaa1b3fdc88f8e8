"""What an append is checked for and where its events go, whatever the database: pure, used under the write lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from regista.domain.chain import Row, event_hash
from regista.domain.errors import Refused
from regista.store.append import Append, Conflict, Duplicate, IntakeMoved, OutcomeRow, Taken
from regista.store.command_sets import CommandSet


def distinct_commands(appends: Iterable[Append]) -> list[tuple[str, str]]:
    """The commands, by actor and id, in order; an append without events has none.

    Raises:
        Duplicate: one is there twice.
    """
    keys: dict[tuple[str, str], None] = {}
    for append in appends:
        if append.command is None:
            continue
        if append.command.scoped in keys:
            raise Duplicate(*append.command.scoped)
        keys[append.command.scoped] = None
    return list(keys)


def streams_of(appends: Iterable[Append]) -> list[str]:
    """Every stream that is written or read, once."""
    return list(dict.fromkeys(stream for append in appends for stream in append.streams))


def check_heads(appends: Iterable[Append], heads: Mapping[str, tuple[int, bytes]]) -> None:
    """Check that every stream is where its decision saw it, each append after those before it.

    ``heads`` has sequence and value of the newest event of every stream that exists.

    Raises:
        Conflict: one is not.
    """
    current: dict[str, int] = {}
    for append in appends:
        for stream, tip in append.tips.items():
            if stream not in current and stream in heads and event_hash(stream, *heads[stream]) != tip:
                raise Conflict(stream, heads[stream][0], heads[stream][0])
        for stream, expected in append.reads.items():
            if (actual := current.get(stream) or _sequence(heads, stream)) != expected:
                raise Conflict(stream, expected, actual)
        for row in append.rows:
            stream = str(row.originator_id)
            if (actual := current.get(stream) or _sequence(heads, stream)) != row.originator_version - 1:
                raise Conflict(stream, row.originator_version - 1, actual)
            current[stream] = row.originator_version


def _sequence(heads: Mapping[str, tuple[int, bytes]], stream: str) -> int:
    head = heads.get(stream)
    return 0 if head is None else head[0]


def sources_of(appends: Iterable[Append]) -> list[str]:
    """Every queue that is taken in from, once."""
    return list(dict.fromkeys(append.intake.source for append in appends if append.intake is not None))


def check_intakes(appends: Iterable[Append], taken: Mapping[str, Taken]) -> dict[str, Taken]:
    """Check that every queue is where its taker believes it, each append after those before it; where they are then.

    ``taken`` has every queue that was taken in from before.

    Raises:
        IntakeMoved: one is not.
    """
    moved: dict[str, Taken] = {}
    for append in appends:
        if (intake := append.intake) is None:
            continue
        actual = moved.get(intake.source) or taken.get(intake.source) or Taken(0)
        if not intake.follows(actual):
            raise IntakeMoved(intake.source, intake.before, actual.offset)
        moved[intake.source] = intake.leaves
    return moved


def placed_outcomes(appends: Sequence[Append], positions: Sequence[int], next_id: int) -> list[OutcomeRow]:
    """What is told of each append, with ids from ``next_id`` on and the position of the append's last event.

    ``positions`` are the appends' first positions, 0 where they have no events.
    """
    rows: list[OutcomeRow] = []
    for append, first in zip(appends, positions, strict=True):
        last = first + len(append.rows) - 1 if append.rows else None
        for outcome in append.outcomes:
            rows.append(OutcomeRow(next_id + len(rows), outcome, last))
    return rows


def first_positions(appends: Sequence[Append], position: int) -> list[int]:
    """Where the events of each append begin when those of the first begin at ``position``; 0 where there are none."""
    positions = []
    for append in appends:
        positions.append(position if append.rows else 0)
        position += len(append.rows)
    return positions


def placed(appends: Sequence[Append], position: int) -> list[CommandSet]:
    """The sets with their events at ``position`` and the positions after it; none for an append without events."""
    sets = []
    for append in appends:
        if append.command is None:
            continue
        rows = []
        for row in append.rows:
            rows.append(Row(position, str(row.originator_id), row.originator_version, row.topic, row.state))
            position += 1
        sets.append(CommandSet(append.command, tuple(rows)))
    return sets


def check_new(newest: int, place: str) -> None:
    """Check that a log is there to become another one; ``place``: what else to name.

    Raises:
        Refused: ``registry_not_empty``.
    """
    if newest != 1:
        raise Refused(
            "This registry has events of its own.", code="registry_not_empty", hint=f"Import into a new {place}."
        )


def check_end(end: int, newest: int) -> None:
    """Check that a log that is to be replaced still ends where it was looked at.

    Raises:
        Refused: ``log_moved``.
    """
    if newest != end:
        raise Refused(
            f"The log was looked at up to position {end}, and is at {newest} now: something writes to it.",
            code="log_moved",
            hint="Stop every registry on this log, then do it again. Nothing was changed.",
        )
