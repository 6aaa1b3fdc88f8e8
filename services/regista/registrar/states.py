"""The registrar's working memory: the states of the streams used last.

A state here may be ahead of the log by what is being committed, or behind it when another registrar wrote. Neither
gives a wrong answer: the append checks every stream it writes and reads, and a conflict reloads them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Final

from regista.domain.chain import Row, event_hash, stream_hash
from regista.domain.context import State
from regista.domain.events import Event
from regista.domain.kinds import MODEL, kind_of
from regista.domain.model import ModelState
from regista.registrar.snapshots import WORTHWHILE, Snapshot, Snapshots
from regista.store.log import LogReader
from regista.store.lookup import ask
from regista.store.mapper import AvroMapper
from regista.store.queries import END

_SNAPPED: Final = f"{MODEL.prefix}/"
"""Streams of which snapshots are taken: others are short, or remember little."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream's state, and the hash that its next event carries as ``previous_hash``."""

    state: State
    last_hash: bytes


class States:
    """States by stream, the least recently used dropped first. Belongs to the event loop; loads run in a thread."""

    def __init__(self, log: LogReader, mapper: AvroMapper, snapshots: Snapshots, *, capacity: int = 10_000) -> None:
        self._log = log
        self._mapper = mapper
        self._snapshots = snapshots
        self._capacity = capacity
        self._known: OrderedDict[str, StreamState] = OrderedDict()
        self._loading: dict[str, asyncio.Task[StreamState]] = {}
        self._saved: dict[str, int] = {}
        self.epoch = 0
        """Raised whenever something was forgotten: what was decided before may rest on what was wrong."""

    def get(self, stream: str) -> StreamState | None:
        """The state, if it is in memory."""
        known = self._known.get(stream)
        if known is not None:
            self._known.move_to_end(stream)
        return known

    def put(self, stream: str, state: StreamState) -> None:
        """Remember a state that was just decided."""
        self._known[stream] = state
        self._known.move_to_end(stream)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def forget(self, streams: Iterable[str]) -> None:
        """Drop what may be wrong."""
        self.epoch += 1
        for stream in streams:
            self._known.pop(stream, None)
            self._loading.pop(stream, None)

    async def ensure(self, streams: Iterable[str]) -> None:
        """Load what is not in memory, in a thread; each stream once, however many ask."""
        for stream in streams:
            if stream in self._known:
                continue
            task = self._loading.get(stream)
            if task is None:
                task = asyncio.create_task(asyncio.to_thread(self._load, stream))
                self._loading[stream] = task
                task.add_done_callback(partial(self._loaded, stream))
            await asyncio.shield(task)

    async def behind(self, streams: Iterable[str]) -> list[str]:
        """Those of the streams that the log has newer events of, or that are not in memory."""
        held = {stream: self._known.get(stream) for stream in streams}
        sequences = {stream: known.state.sequence for stream, known in held.items() if known is not None}
        moved = await ask(self._log, self._moved, sequences)
        return [stream for stream, known in held.items() if known is None or stream in moved]

    def _moved(self, sequences: Mapping[str, int]) -> set[str]:
        return {stream for stream, at in sequences.items() if next(self._log.load(stream, at), None) is not None}

    def at(self, stream: str, sequence: int) -> StreamState:
        """Fold the stream from the log up to a sequence, from a snapshot where it is not later. Blocks."""
        start = self._proven(stream)
        if start.state.sequence > sequence:
            start = _nothing(stream)
        return self._fold(stream, start, sequence)

    def then(self, streams: Iterable[str], position: int) -> dict[str, State]:
        """The states as they were at a position: the folds up to it. Blocks."""
        return {stream: self._then(stream, position) for stream in streams}

    def _then(self, stream: str, position: int) -> State:
        start = self._proven(stream, position)
        rows = takewhile(lambda row: row.position <= position, self._log.load(stream, start.state.sequence))
        state: State = kind_of(stream).fold((self._mapper.from_row(row).event for row in rows), start.state)
        return state

    def save(self) -> None:
        """Take snapshots of the streams that went on long enough since their last. Blocks."""
        for stream, known in list(self._known.items()):
            self._save(stream, known)

    def _load(self, stream: str) -> StreamState:
        start = self._proven(stream)
        loaded = self._fold(stream, start)
        self._saved[stream] = start.state.sequence
        self._save(stream, loaded)
        return loaded

    def _proven(self, stream: str, until: int = END) -> StreamState:
        """The snapshot, where the log has the event that it was taken after, up to a position; else the empty state."""
        snapshot = self._snapshots.load(stream) if stream.startswith(_SNAPPED) else None
        if snapshot is not None:
            sequence = snapshot.state.sequence
            rows = list(self._log.load(stream, sequence - 1, sequence))
            if rows and rows[0].position <= until and event_hash(stream, sequence, rows[0].value) == snapshot.last_hash:
                return StreamState(snapshot.state, snapshot.last_hash)
        return _nothing(stream)

    def _fold(self, stream: str, start: StreamState, until_sequence: int | None = None) -> StreamState:
        last: Row | None = None

        def events() -> Iterator[Event]:
            nonlocal last
            for row in self._log.load(stream, start.state.sequence, until_sequence):
                last = row
                yield self._mapper.from_row(row).event

        state = kind_of(stream).fold(events(), start.state)
        hashed = start.last_hash if last is None else event_hash(stream, last.sequence, last.value)
        return StreamState(state, hashed)

    def _save(self, stream: str, known: StreamState) -> None:
        if isinstance(known.state, ModelState) and known.state.sequence - self._saved.get(stream, 0) >= WORTHWHILE:
            self._snapshots.save(stream, Snapshot(known.state, known.last_hash))
            self._saved[stream] = known.state.sequence

    def _loaded(self, stream: str, task: asyncio.Task[StreamState]) -> None:
        if self._loading.get(stream) is not task:
            return  # forgotten while it was loading
        del self._loading[stream]
        if not task.cancelled() and task.exception() is None and stream not in self._known:
            self.put(stream, task.result())


def _nothing(stream: str) -> StreamState:
    return StreamState(kind_of(stream).empty, stream_hash(stream))


def advanced(before: StreamState, stream: str, event: Event, value: bytes) -> StreamState:
    """The state after an event that was encoded as ``value``."""
    state = kind_of(stream).evolve(before.state, event)
    return StreamState(state, event_hash(stream, state.sequence, value))
