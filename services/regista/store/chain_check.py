"""Checks rows in the order they come: positions, sequences, the hash chain of each stream, types, the creation.

Needs nothing but the rows, so a store, an export and a topic are checked alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regista.domain.chain import Head, Row, advance, event_hash, stream_hash
from regista.domain.events import EVENT_TYPES, LogCreated, LogImported
from regista.schemas import codec
from regista.schemas.errors import SchemaError
from regista.store.birth import log_stream
from regista.store.problems import Kind, Problem


@dataclass(frozen=True, slots=True)
class _Tip:
    """The newest event seen of a stream."""

    sequence: int
    position: int
    hash: bytes


class ChainCheck:
    """Feed it every row of a log. ``head`` and ``log_id`` are those of the rows so far."""

    def __init__(self) -> None:
        self.head = Head()
        self.log_id: str | None = None
        self._tips: dict[str, _Tip] = {}

    def feed(self, row: Row) -> list[Problem]:
        """What is wrong with the next row."""
        problems = [Problem.at(row, kind, detail) for kind, detail in self._check(row)]
        tip = self._tips.get(row.stream)
        if tip is None or row.sequence > tip.sequence:
            found = event_hash(row.stream, row.sequence, row.value)
            self._tips[row.stream] = _Tip(row.sequence, row.position, found)
        if row.position > self.head.position:
            self.head = advance(self.head, row)
        return problems

    def _check(self, row: Row) -> Iterator[tuple[Kind, str]]:
        if row.position <= self.head.position:
            yield Kind.ORDER, f"its position does not follow {self.head.position}"
        try:
            decoded = codec.decode(row.value)
        except SchemaError as error:
            yield Kind.UNREADABLE, f"the value cannot be read: {error}"
            yield from self._check_sequence(row, None)
            return
        known = EVENT_TYPES.get(row.type)
        if known is None or known.__name__ != decoded.name:
            yield Kind.TYPE, f"the row says {row.type!r}, the value is a {decoded.name}"
        yield from self._check_sequence(row, decoded.record["meta"]["previous_hash"])
        yield from self._check_creation(row, decoded)

    def _check_sequence(self, row: Row, previous_hash: bytes | None) -> Iterator[tuple[Kind, str]]:
        tip = self._tips.get(row.stream) or _Tip(0, 0, stream_hash(row.stream))
        if row.sequence <= tip.sequence:
            yield Kind.ORDER, f"its stream is at sequence {tip.sequence} already (position {tip.position})"
        elif row.sequence > tip.sequence + 1:
            yield Kind.MISSING, f"sequences {tip.sequence + 1} to {row.sequence - 1} of its stream are not there"
        elif previous_hash is not None and previous_hash != tip.hash:
            before = (
                f"{row.stream}@{tip.sequence} at position {tip.position}" if tip.position else "the start of its stream"
            )
            yield Kind.CHAIN, f"it does not carry the hash of {before}: one of the two was changed or put there"

    def _check_creation(self, row: Row, decoded: codec.Decoded) -> Iterator[tuple[Kind, str]]:
        creates = decoded.name == LogCreated.__name__
        if self.head.count == 0 and not (creates and row.position == 1):
            yield Kind.CREATION, "the log does not begin with its creation at position 1"
        if creates and self.head.count:
            yield Kind.CREATION, "a log is created once"
        if creates or decoded.name == LogImported.__name__:
            self.log_id = decoded.record["log_id"]
            if row.stream != log_stream(self.log_id):
                yield Kind.CREATION, f"it belongs to {log_stream(self.log_id)}"
