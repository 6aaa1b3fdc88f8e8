"""Compares a log with its command index: each atomic set with its entry, and each entry with its set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.store.append import CommandFound, CommandKey
from regista.store.command_sets import CommandSet, command_of
from regista.store.log import LogReader
from regista.store.problems import Kind, Problem


class CommandCheck:
    """Feed it every row of the store in order, then ``finish``."""

    def __init__(self, store: LogReader) -> None:
        self._store = store
        self._command: CommandKey | None = None
        self._rows: list[Row] = []
        self._sets = 0

    def feed(self, row: Row) -> list[Problem]:
        """Problems of the set before ``row``, when ``row`` begins another.

        Raises:
            Damaged: the index cannot be read there. The check can go on.
        """
        command = command_of(row)
        if command is not None and command == self._command:
            self._rows.append(row)
            return []
        before = self._command, self._rows
        self._command, self._rows = command, [row]
        return self._check(*before)

    def finish(self, last: int) -> list[Problem]:
        """Problems of the last set, and of entries without events. ``last``: the last position that was read.

        Raises:
            Damaged: the index cannot be read.
        """
        problems = self._check(self._command, self._rows)
        entries = 0
        beyond = []
        for actor, command_id, found in self._store.commands():
            entries += found.position <= last
            if found.position > last:
                beyond.append(_removed(actor, command_id, found))
        # Whatever was appended while the rows were read is there by now.
        newest = self._store.max_position()
        problems += [problem for problem in beyond if problem.position > newest]
        return problems if entries == self._sets else problems + list(self._without_events(last))

    def _without_events(self, last: int) -> Iterator[Problem]:
        for actor, command_id, found in self._store.commands():
            if found.position > last:
                continue
            try:
                row = self._store.row(found.position)
            except Damaged:
                continue
            command = command_of(row) if row else None
            if command is None or command.scoped != (actor, command_id):
                yield _removed(actor, command_id, found)

    def _check(self, command: CommandKey | None, rows: Sequence[Row]) -> list[Problem]:
        """Problems of one set."""
        if command is None:
            return []
        found = self._store.find_command(*command.scoped)
        actual = CommandSet(command, tuple(rows)).found
        name = f"command {command.command_id!r} of {command.actor!r}"
        if found is None:
            return [Problem.at(rows[0], Kind.COMMAND, f"the index does not know {name}: the event was put there")]
        if found.position != actual.position:
            return [Problem.at(rows[0], Kind.ORDER, f"the index has {name} at position {found.position}")]
        self._sets += 1
        if found.count != actual.count:
            return [Problem.at(rows[0], Kind.COMMAND, f"{name} had {found.count} events, here are {actual.count}")]
        if found.digest != actual.digest:
            return [Problem.at(rows[0], Kind.COMMAND, f"the index has another digest for {name}")]
        if found.hash != actual.hash:
            return [Problem.at(row, Kind.EDITED, f"it is not what {name} wrote") for row in rows]
        return []


def _removed(actor: str, command_id: str, found: CommandFound) -> Problem:
    detail = f"the events of command {command_id!r} of {actor!r} are not there"
    return Problem(found.position, "", 0, Kind.REMOVED, detail)
