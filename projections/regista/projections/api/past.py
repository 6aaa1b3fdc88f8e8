"""The events that touched one thing, as the folds take them: what ``at=`` folds anew."""

from __future__ import annotations

from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections.decoding import Item, decode_rows
from regista.projections.reader import Reader

_EVENTS = (
    "SELECT e.position, e.stream, e.sequence, e.type, e.value FROM version_events_v1 t "
    "JOIN events_v1 e ON e.position = t.position "
    "WHERE t.stream = ? AND t.version = ? AND t.position <= ? ORDER BY t.position"
)


def items_of(reader: Reader, key: str, version: str, at: int) -> list[Item]:
    """The events up to a position that touched a version, or the model itself where ``version`` is empty.

    Raises:
        Damaged: ``undecodable_event``.
    """
    rows = [Row(*row) for row in reader.rows(_EVENTS, (f"model/{key}", version, at))]
    items, broken = decode_rows(rows, 0)
    if broken is not None:
        raise Damaged(f"position {broken.position}: {broken}", code="undecodable_event")
    return items
