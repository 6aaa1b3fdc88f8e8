"""Reading a log out of its tables: what is the same in every database, which says how rows are fetched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from eventsourcing.persistence import Notification

from regista.domain.chain import Row
from regista.store.append import CommandFound, OutcomeRow, Outgoing, Taken
from regista.store.headers import unpack_headers
from regista.store.queries import END, LogQueries

_CHUNK = 500


class TableReader(ABC):
    """``LogReader`` but for opening, closing and ``storage_problems``. Each method promises what it does there."""

    _queries: LogQueries
    _log_id: str
    _has_marks = True
    """Whether the tables know the last record of a queue; those of earlier releases do not until they are migrated."""

    @abstractmethod
    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of an answer."""

    @property
    def log_id(self) -> str:
        """The identity of the log, as it was when somebody here looked last."""
        return self._log_id

    def stored_log_id(self) -> str:
        """The same as it is stored now."""
        [[found]] = self._fetch(self._queries.log_id)
        self._log_id = str(found)
        return self._log_id

    def load(self, stream: str, after_sequence: int = 0, until_sequence: int | None = None) -> Iterator[Row]:
        """Rows of one stream, in chunks."""
        until = END if until_sequence is None else until_sequence
        while True:
            rows = self._rows(self._queries.load, (stream, after_sequence, until, _CHUNK))
            yield from rows
            if len(rows) < _CHUNK:
                return
            after_sequence = rows[-1].sequence

    def streams(self, prefix: str) -> list[str]:
        """The streams of a prefix."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return [str(stream) for (stream,) in self._fetch(self._queries.streams, (prefix, end, end))]

    def read(self, from_position: int, limit: int, stop: int | None = None) -> list[Row]:
        """Rows from a position on, itself included."""
        return self._rows(self._queries.read, (from_position, END if stop is None else stop, limit))

    def row(self, position: int) -> Row | None:
        """The row at a position."""
        return next(iter(self._rows(self._queries.row, (position,))), None)

    def last(self) -> Row | None:
        """The newest row."""
        return next(iter(self._rows(self._queries.last)), None)

    def max_position(self) -> int:
        """The newest position."""
        [[found]] = self._fetch(self._queries.max_position)
        return int(found or 0)

    def find_command(self, actor: str, command_id: str) -> CommandFound | None:
        """Where a command's events are."""
        found = self._fetch(self._queries.command, (actor, command_id))
        return CommandFound(*found[0]) if found else None

    def find_commands(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], CommandFound]:
        """Where the events of several commands are."""
        found = {key: self.find_command(*key) for key in keys}
        return {key: command for key, command in found.items() if command is not None}

    def commands(self) -> Iterator[tuple[str, str, CommandFound]]:
        """The command index, in chunks."""
        after = ("", "")
        while True:
            entries = self._fetch(self._queries.commands, (*after, _CHUNK))
            for actor, command_id, *found in entries:
                after = (actor, command_id)
                yield actor, command_id, CommandFound(*found)
            if len(entries) < _CHUNK:
                return

    def rows_of_command(self, found: CommandFound) -> list[Row]:
        """The events of a command."""
        return self.read(found.position, found.count)

    def intake(self, source: str) -> Taken | None:
        """How far a queue is taken in."""
        sql = self._queries.intake if self._has_marks else self._queries.intake_without_marks
        found = self._fetch(sql, (source,))
        return Taken(*found[0]) if found else None

    def outcomes(self, from_id: int, limit: int) -> list[OutcomeRow]:
        """What is to be told, from an id on, itself included."""
        return [
            OutcomeRow(id_, Outgoing(kind, key, value, unpack_headers(headers), time_ms), position)
            for id_, kind, key, value, headers, time_ms, position in self._fetch(
                self._queries.outcomes, (from_id, limit)
            )
        ]

    def max_outcome(self) -> int:
        """The newest id."""
        [[found]] = self._fetch(self._queries.max_outcome)
        return int(found or 0)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return list(map(Row._make, self._fetch(sql, values)))


class NotificationReader(ABC):
    """The library's reading of notifications, over our tables: a position has another name there."""

    _queries: LogQueries

    @abstractmethod
    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of an answer."""

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return rows in the order of position."""
        first = 0 if start is None else start if inclusive_of_start else start + 1
        return [
            Notification(stream, sequence, topic, state, position)
            for position, stream, sequence, topic, state in self._fetch(
                *self._queries.among(first, stop, topics, limit)
            )
        ]
