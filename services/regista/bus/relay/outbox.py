"""What a relay publishes: entries with a rising position, read in order from a store that has committed them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from regista.bus.events.envelope import Consumed, Envelope, Headers, received, undecodable
from regista.domain.chain import Row, event_hash
from regista.domain.errors import Damaged, Unavailable
from regista.schemas.codec import decode_stamp
from regista.schemas.errors import SchemaError
from regista.store.growth import Growth
from regista.store.log import LogReader
from regista.store.lookup import ask

LARGEST = 2000
"""Entries of one transaction, and what completes the last one's set."""
_FIRST_CHUNK = 16
_CHUNK = 500
_POLL = 0.005
_POLL_OF_A_SERVER = 0.02
"""Longer, since it tells of what was appended, and looking takes a round trip."""


class Entry(NamedTuple):
    """One record to publish. ``position`` rises strictly; ``hash`` (32 bytes) proves what stands at it.

    ``timestamp_ms`` None means the time of publishing. The partition follows from the key.
    """

    position: int
    hash: bytes
    topic: str
    key: bytes
    value: bytes
    headers: Headers
    timestamp_ms: int | None = None


class Outbox(Protocol):
    """What a relay publishes. Its entries never change and none comes to be before one that was read."""

    @property
    def name(self) -> str:
        """``events`` or ``results``: part of the names on Kafka."""

    @property
    def log_id(self) -> str:
        """The log that it belongs to now: an import or a heal by another process makes it another one. Blocks.

        Raises:
            Unavailable: the store cannot be read now.
        """

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that its entries go to."""

    @property
    def guarded(self) -> str | None:
        """The topic that holds this outbox's entries and nothing else, in one partition; None where others write too.

        A relay without a checkpoint refuses to start over when that topic holds records.
        """

    def owns(self, record: Consumed) -> bool:
        """Whether a record of one of its topics is an entry of this outbox.

        Raises:
            Damaged: ``undecodable_record``: only this outbox writes there, and it is none.
        """

    def is_behind(self, record: Consumed, position: int) -> bool:
        """Whether an entry of this outbox, read from Kafka, comes behind a position. Blocks.

        At least those of the transaction that followed the position are told from the ones before.

        Raises:
            Unavailable: the store cannot be read now.
        """

    def read(self, from_inclusive: int, limit: int) -> Sequence[Entry]:
        """About ``limit`` entries from a position on, itself included: never a part of what belongs together.

        Blocks. Empty when there is none from there on.

        Raises:
            Unavailable: the store cannot be read now.
            Damaged: what it holds cannot be published.
        """

    def newest(self) -> int:
        """The newest position, 0 when there is none. Blocks.

        Raises:
            Unavailable: the store cannot be read now.
        """

    def notify(self) -> None:
        """Something was added: wake who waits, in the event loop it waits in."""

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """Return when an entry beyond ``position`` may exist, after ``timeout`` seconds at the latest."""


class StoreOutbox(ABC):
    """An outbox in a store: woken by ``notify``, and looked at every ``poll`` seconds for what other processes add."""

    def __init__(self, store: LogReader, poll: float) -> None:
        self._store = store
        self._growth = Growth(poll)

    @property
    def log_id(self) -> str:
        """As ``Outbox.log_id``: as it is stored now."""
        return self._store.stored_log_id()

    def notify(self) -> None:
        """As ``Outbox.notify``."""
        self._growth.notify()

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """As ``Outbox.wait``. A store that cannot be asked keeps the waiter waiting; ``read`` will say why."""
        await self._growth.wait(lambda: self._is_beyond(position), timeout)

    async def _is_beyond(self, position: int) -> bool:
        try:
            return await ask(self._store, self._has_more, position)
        except (Unavailable, Damaged):
            return False

    @abstractmethod
    def _has_more(self, position: int) -> bool:
        """Whether there is an entry to publish beyond a position. Blocks."""


class EventsOutbox(StoreOutbox):
    """The log itself. What ``read`` gives ends with a whole atomic set, so a set is never split."""

    name = "events"

    def __init__(self, store: LogReader, topic: str, *, poll: float | None = None, max_bytes: int = 4 * 2**20) -> None:
        """``poll``: seconds between looks for what other processes append; ``max_bytes`` of values in one read."""
        if poll is None:
            poll = _POLL if store.immediate else _POLL_OF_A_SERVER
        super().__init__(store, poll)
        self._topic = topic
        self._max_bytes = max_bytes

    @property
    def topics(self) -> tuple[str, ...]:
        """The events topic."""
        return (self._topic,)

    @property
    def guarded(self) -> str:
        """The events topic."""
        return self._topic

    def owns(self, record: Consumed) -> bool:
        """As ``Outbox.owns``: nobody else writes to this topic."""
        return bool(received(record))

    def is_behind(self, record: Consumed, position: int) -> bool:
        """As ``Outbox.is_behind``, wherever it is: an event names its position."""
        return received(record).row.position > position

    def read(self, from_inclusive: int, limit: int) -> list[Entry]:
        """As ``Outbox.read``; values of little more than ``max_bytes`` together."""
        entries: list[Entry] = []
        # Before the rows: where it is the same afterwards, all of them are of this log.
        headers, topic = Envelope(self.log_id).headers, self._topic
        rows = self._rows(max(from_inclusive, 1), limit)
        stamps = [_stamp(row) for row in rows]
        for row, stamp, (index, size) in zip(rows, stamps, _places(stamps), strict=True):
            position, stream, sequence, _, value = row
            proof, key = event_hash(stream, sequence, value), stream.encode()
            entries.append(Entry(position, proof, topic, key, value, headers(row, key, stamp, index, size)))
        return entries

    def newest(self) -> int:
        """The position of the log's newest event."""
        return self._store.max_position()

    def _has_more(self, position: int) -> bool:
        return self._store.max_position() > position

    def _rows(self, position: int, limit: int) -> list[Row]:
        """Rows from a position on: ``limit`` of them, or ``max_bytes``, and the rest of the last one's set."""
        rows: list[Row] = []
        left, asked = self._max_bytes, _FIRST_CHUNK
        while len(rows) < limit and left > 0:
            asked = min(asked, limit - len(rows))
            found = self._store.read(position, asked)
            rows += found
            if len(found) < asked:
                return rows
            position = found[-1].position + 1
            size = sum(len(row.value) for row in found)
            left -= size
            # As many as there is room for, if they are like those before: large events come few at a time.
            asked = max(1, min(_CHUNK, left * len(found) // max(size, 1)))
        return rows + self._completing(rows[-1])

    def _completing(self, last: Row) -> list[Row]:
        """What follows a row in its set."""
        command, missing = _command(_stamp(last)), list[Row]()
        position = last.position + 1
        while following := self._store.read(position, 8):
            for row in following:
                if _command(_stamp(row)) != command:
                    return missing
                missing.append(row)
            position = following[-1].position + 1
        return missing


def _places(stamps: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """The place of each event in its atomic set, from 1 on, and the size of that."""
    for _, members in groupby(map(_command, stamps)):
        size = sum(1 for _ in members)
        for index in range(1, size + 1):
            yield index, size


def _stamp(row: Row) -> dict[str, Any]:
    try:
        return decode_stamp(row.value)
    except SchemaError as error:
        raise undecodable(row, error) from error


def _command(stamp: dict[str, Any]) -> tuple[str, str, bytes]:
    """The rule of ``schemas.atomic``: neighbours with the same actor, command id and digest are one set."""
    return stamp["actor"], stamp["command_id"], stamp["command_digest"]
