"""The port of the log store. One conformance suite (tests/contract/test_log_store.py) holds for every implementation.

All methods block. Reads run on their own connections, from any thread, and go on while a write runs or fails.
Errors of all methods: ``Unavailable`` with the code ``log_full``, ``log_read_only``, ``log_locked`` or
``log_unavailable``, of those that write also ``log_being_replaced`` or ``log_replaced``; ``Damaged`` when the storage
itself says that its bytes are not what was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from regista.domain.chain import Row
from regista.domain.errors import RegistaError
from regista.store.append import Append, CommandFound, OutcomeRow, Taken
from regista.store.command_sets import CommandSet


class LogReader(Protocol):
    """Everything that changes nothing."""

    @property
    def log_id(self) -> str:
        """The identity of the log, on Kafka and in exports, as it was when somebody here looked last."""

    def stored_log_id(self) -> str:
        """The same as it is stored now: an import or a heal by another process makes it another one."""

    @property
    def immediate(self) -> bool:
        """Whether looking one thing up takes microseconds: fit for the event loop. Where not, look in a thread."""

    def load(self, stream: str, after_sequence: int = 0, until_sequence: int | None = None) -> Iterator[Row]:
        """Rows of one stream in the order of sequence, fetched in chunks: no read transaction stays open between."""

    def streams(self, prefix: str) -> list[str]:
        """The streams whose ids begin with ``prefix``, which ends with ASCII, in the order of their bytes."""

    def read(self, from_position: int, limit: int, stop: int | None = None) -> list[Row]:
        """At most ``limit`` rows from ``from_position`` on, itself included, up to ``stop``, itself included."""

    def row(self, position: int) -> Row | None:
        """The row at exactly this position."""

    def last(self) -> Row | None:
        """The newest row."""

    def max_position(self) -> int:
        """The position of the newest row; 0 in an empty log."""

    def find_command(self, actor: str, command_id: str) -> CommandFound | None:
        """Where the events of a command are, if it was carried out."""

    def find_commands(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], CommandFound]:
        """Those of several commands, by actor and command id, that were carried out."""

    def commands(self) -> Iterator[tuple[str, str, CommandFound]]:
        """The whole command index as (actor, command id, found), in the order of actor and command id."""

    def rows_of_command(self, found: CommandFound) -> list[Row]:
        """The events of a command."""

    def intake(self, source: str) -> Taken | None:
        """How far a queue is taken in, and the mark of the last record; None when nothing ever was."""

    def outcomes(self, from_id: int, limit: int) -> list[OutcomeRow]:
        """At most ``limit`` outcomes from ``from_id`` on, itself included, in the order of id.

        Whoever reads on from the highest id it saw misses none: ids become visible in their order.
        """

    def max_outcome(self) -> int:
        """The id of the newest outcome; 0 when there is none."""

    def storage_problems(self) -> list[str]:
        """What the database finds wrong in its own pages and indexes, in its words; empty when it is sound."""

    def close(self) -> None:
        """Release every connection and lock. A closed store cannot be used again."""


def newest_known(log: LogReader) -> int:
    """The newest position of a log; 0 while it cannot be read."""
    try:
        return log.max_position()
    except RegistaError:
        return 0


class LogStore(LogReader, Protocol):
    """A log that can grow."""

    def check_writable(self) -> None:
        """Take the write lock and give it back, writing nothing.

        Raises:
            Unavailable: an append would fail now, for the reason that its code says.
        """

    def append(self, appends: Sequence[Append]) -> list[int]:
        """Append the events of several commands in one durable transaction; the first position of each, 0 without.

        Intake and outcomes of each append come to exist in the same transaction.

        When it returns, the events survive the loss of power. All or nothing: on any error nothing was appended,
        save when the error came out of the commit itself, which only a look at the command index can tell.

        Raises:
            Conflict: a stream written or read is not where the decision saw it.
            Duplicate: a command is in the log already, or twice in ``appends``.
            IntakeMoved: a queue is not where its taker believes it. Told before the other two.
        """

    def prune_outcomes(self, before_id: int, older_than_ms: int, limit: int = 10_000) -> int:
        """Remove at most ``limit`` outcomes with an id below ``before_id`` and a time before ``older_than_ms``.

        Their number. Ids are not given again.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Keep every other writer away while it lasts, those that are frozen too. Reading goes on.

        Whoever has written before must open the log anew once events were replaced.

        Raises:
            Unavailable: ``log_in_use``: there are others; it names them.
        """

    def restore(self, after: int, sets: Iterable[CommandSet], log_id: str, *, end: int) -> None:
        """Put ``sets``, with the positions they have, in the place of everything behind the position ``after``.

        ``end``: the newest position that whoever asks knows of; what came since may have been answered to somebody.

        One transaction: when ``sets`` raises, nothing has changed. The log is ``log_id`` from then on. Intakes and
        outcomes stay.

        Raises:
            Refused: ``log_moved``: the log has a newer event.
            Unavailable: ``log_in_use``: others may write; it names them.
            Invalid: a position, a place in a stream or a command is there twice.
        """

    def forget_queues(self, taken: Mapping[str, Taken]) -> None:
        """Drop all outcomes, and take every queue as taken in up to what ``taken`` says; others begin anew.

        For a store that is restored: what it remembers of queues is not what was told. Ids are not given again.

        Raises:
            Unavailable: ``log_in_use``.
        """

    def adopt(self, sets: Iterable[CommandSet], log_id: str) -> None:
        """Become another log: rows with the positions they have, in place of the log's own first event.

        Intakes and outcomes stay: what was told of queues is true of this store, whatever log it holds.
        One transaction: when ``sets`` raises, nothing has changed.

        Raises:
            Refused: ``registry_not_empty``: there are events beside ``LogCreated``.
            Unavailable: ``log_in_use``.
            Invalid: a position, a place in a stream or a command is there twice.
        """
