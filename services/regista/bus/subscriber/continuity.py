"""Seeing that no event is missing: in a stream, each names the number and the hash of the one before it."""

from __future__ import annotations

from collections import OrderedDict

from regista.bus.subscriber.logged import LoggedEvent
from regista.domain.errors import Damaged

_STREAMS = 50_000
"""Streams whose last event is remembered; those of the longest silence are forgotten."""


class Continuity:
    """Compares each event with the last one seen of its stream.

    ``from_start``: everything from the log's first event on comes by, so that a stream begins with its first.
    """

    def __init__(self, *, from_start: bool) -> None:
        self._last: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._knows_all = from_start

    def check(self, event: LoggedEvent) -> None:
        """Look at the next event.

        Raises:
            Damaged: ``gap``: one is missing before it; ``chain_broken``: the one before it was another.
        """
        sequence, digest = self._last.get(event.stream, (None, None))
        if sequence is None and self._knows_all:
            sequence = 0
        if sequence is not None and event.sequence != sequence + 1:
            raise Damaged(
                f"event {event.sequence} of {event.stream}, at position {event.position}, came after event {sequence}",
                code="gap",
                hint="Something between the log and this subscriber lost events: `regista verify` checks the log.",
            )
        if digest is not None and event.previous_hash != digest:
            raise Damaged(
                f"the event at position {event.position} does not follow the one seen before it in {event.stream}",
                code="chain_broken",
                hint="The log was changed under this subscriber: `regista verify` says where.",
            )
        self._last[event.stream] = (event.sequence, event.hash)
        self._last.move_to_end(event.stream)
        if len(self._last) > _STREAMS:
            self._last.popitem(last=False)
            self._knows_all = False
