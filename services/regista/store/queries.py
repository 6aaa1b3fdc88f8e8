"""What is asked of the log's tables, whatever the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

END = 2**63 - 1
"""No position, sequence or id lies behind it."""
_ROWS = "SELECT position, originator_id, originator_version, topic, state FROM regista.events "
_READ = _ROWS + "WHERE position >= ? AND position <= ? ORDER BY position LIMIT ?"
_ROW = _ROWS + "WHERE position = ?"
_LAST = _ROWS + "ORDER BY position DESC LIMIT 1"
_LOAD = (
    _ROWS + "WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? "
    "ORDER BY originator_version LIMIT ?"
)
_STREAMS = (
    "WITH RECURSIVE found(id) AS ("
    "SELECT min(originator_id) FROM regista.events WHERE originator_id >= ? AND originator_id < ? "
    "UNION ALL SELECT (SELECT min(originator_id) FROM regista.events WHERE originator_id > id AND originator_id < ?) "
    "FROM found WHERE id IS NOT NULL) SELECT id FROM found WHERE id IS NOT NULL"
)
"""From each stream straight to the next by the index: what they cost is their number, not that of their events."""
_LOG_ID = "SELECT value FROM regista.log WHERE key = 'log_id'"
_MAX_POSITION = "SELECT max(position) FROM regista.events"
_COMMAND = "SELECT digest, position, count, hash FROM regista.commands WHERE actor = ? AND command_id = ?"
_COMMANDS = (
    "SELECT actor, command_id, digest, position, count, hash FROM regista.commands "
    "WHERE (actor, command_id) > (?, ?) ORDER BY actor, command_id LIMIT ?"
)
_INTAKE = "SELECT next_offset, mark FROM regista.intake WHERE source = ?"
_INTAKE_WITHOUT_MARKS = "SELECT next_offset, NULL FROM regista.intake WHERE source = ?"
_OUTCOMES = (
    "SELECT id, kind, key, value, headers, time_ms, position FROM regista.outcomes WHERE id >= ? ORDER BY id LIMIT ?"
)
_MAX_OUTCOME = "SELECT max(id) FROM regista.outcomes"


class LogQueries:
    """The questions in the words of one database."""

    def __init__(self, *, schema: str, value: str) -> None:
        """``schema``: what stands before the name of a table, with its dot; ``value``: what stands for a value."""

        def said(sql: str) -> str:
            return sql.replace("regista.", schema).replace("?", value)

        self._value = value
        self._rows = said(_ROWS)
        self.read = said(_READ)
        self.row = said(_ROW)
        self.last = said(_LAST)
        self.load = said(_LOAD)
        self.streams = said(_STREAMS)
        self.log_id = said(_LOG_ID)
        self.max_position = said(_MAX_POSITION)
        self.command = said(_COMMAND)
        self.commands = said(_COMMANDS)
        self.intake = said(_INTAKE)
        self.intake_without_marks = said(_INTAKE_WITHOUT_MARKS)
        self.outcomes = said(_OUTCOMES)
        self.max_outcome = said(_MAX_OUTCOME)

    def among(self, first: int, last: int | None, topics: Sequence[str], limit: int) -> tuple[str, tuple[Any, ...]]:
        """Rows between two positions, both included, of some types of event only where any is named; with the values."""
        wanted = f"AND topic IN ({', '.join([self._value] * len(topics))}) " if topics else ""
        sql = f"{self._rows}WHERE position >= {self._value} AND position <= {self._value} {wanted}"
        values = (first, END if last is None else last, *topics, limit)
        return f"{sql}ORDER BY position LIMIT {self._value}", values
