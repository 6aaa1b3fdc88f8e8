"""Whether a feed leaves out events: in each stream the sequence rises by one.

What a stream's last sequence was is known from the events folded since the start, and of other streams from the view
of events, where that is folded as far. The methods belong to the projector's one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections.member import Member
from regista.projections.reader import Reader
from regista.projections.storage import ViewsStorage
from regista.projections.views.events import EVENTS, VIEW
from regista.schemas.atomic import atomic_sets

_STREAMS = 200_000
"""Streams whose last sequence is kept in memory, for each group of views: some 30 MB."""
_GROUPS = 4
_ASKED_AT_ONCE = 200


class Continuity:
    """What is known of the streams, for groups of generations at different places of the log."""

    def __init__(self, database: ViewsStorage) -> None:
        self._database = database
        self._reader: Reader | None = None
        self._known: dict[int, dict[str, int]] = {}

    def close(self) -> None:
        """Close the connection."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def whole(self, group: Sequence[Member], rows: Sequence[Row]) -> Sequence[Row]:
        """The rows behind what a group has folded, up to where the first is missing.

        Raises:
            Damaged: ``event_missing``: none can be folded.
            Unavailable: the views cannot be read now.
        """
        last = self._before(group, rows)
        for row in rows:
            before = last.get(row.stream)
            if before is not None and row.sequence != before + 1:
                good = _whole_sets_before(row, rows)
                if not good:
                    raise _missing(row, before)
                return good
            last[row.stream] = row.sequence
        return rows

    def moved(self, before: int, rows: Sequence[Row]) -> None:
        """A group that was at a position has folded rows."""
        known = self._known.pop(before, {})
        if len(known) > _STREAMS:
            known = {}
        known.update((row.stream, row.sequence) for row in rows)
        self._known[rows[-1].position] = known
        while len(self._known) > _GROUPS:
            del self._known[next(iter(self._known))]

    def _before(self, group: Sequence[Member], rows: Sequence[Row]) -> dict[str, int]:
        """The last sequence before the rows, of each of their streams of which it is known."""
        known = self._known.get(group[0].entry.position, {})
        first: dict[str, int] = {}
        for row in rows:
            first.setdefault(row.stream, row.sequence)
        last = {stream: known[stream] for stream in first if stream in known}
        unknown = {stream for stream, sequence in first.items() if stream not in last and sequence != 1}
        if not group[0].entry.position:
            return last | dict.fromkeys(unknown, 0)
        return last | self._folded(group, unknown)

    def _folded(self, group: Sequence[Member], streams: set[str]) -> dict[str, int]:
        """The last sequences of streams, as far as the view of events has them."""
        events = next((m for m in group if m.view.name == VIEW.name), None)
        if not streams or events is None or self._database.skips(events.view):
            return {}
        if self._reader is None:
            self._reader = self._database.reader()
        name = events.view.physical_name(EVENTS.name, events.entry.generation)
        asked = sorted(streams)
        found: dict[str, int] = {}
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            some = asked[start : start + _ASKED_AT_ONCE]
            # An index entry for each stream: its newest event may be one of thousands.
            sql = (
                f"WITH asked (stream) AS (VALUES {', '.join(['(?)'] * len(some))}) SELECT stream, (SELECT sequence "
                f"FROM {name} e WHERE e.stream = asked.stream ORDER BY e.position DESC LIMIT 1) FROM asked"
            )
            found.update({stream: sequence or 0 for stream, sequence in self._reader.rows(sql, some)})
        return found


def _whole_sets_before(row: Row, rows: Sequence[Row]) -> list[Row]:
    good: list[Row] = []
    for _, atomic in atomic_sets(rows):
        if atomic[-1].position >= row.position:
            break
        good.extend(atomic)
    return good


def _missing(row: Row, before: int) -> Damaged:
    return Damaged(
        f"{row.stream} goes on with number {row.sequence} at position {row.position}; its last was {before}: "
        "events between are missing",
        code="event_missing",
        hint="regista verify says what the log lacks, with --kafka what its copy on Kafka lacks. A topic that lacks "
        "events is made anew: delete it and the relay's checkpoints, and the relay publishes the log again.",
    )
