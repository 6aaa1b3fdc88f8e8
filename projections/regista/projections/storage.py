"""What the projector needs of the database that holds the views: the port that SQLite and PostgreSQL implement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from regista.projections.catalogue import Entry
from regista.projections.changes import Change
from regista.projections.desk import Desk, Watcher
from regista.projections.reader import Reader
from regista.projections.skips import Skip
from regista.projections.views.base import View


class Overtaken(Exception):
    """Another projector moved an offset: what this one was about to write has been written."""


class ViewsStorage(Protocol):
    """The views of one registry. The writing methods belong to one thread at a time."""

    @property
    def immediate(self) -> bool:
        """Whether a look-up takes microseconds and waits for no network: it may then run on an event loop."""
        ...

    def close(self) -> None:
        """Close the writing connection. Readers are closed by whoever opened them, before."""
        ...

    def reader(self) -> Reader:
        """A new connection for reading, for one thread at a time."""
        ...

    def desk(self) -> Desk:
        """A new connection for the small tables, for one thread at a time."""
        ...

    def watch(self) -> Watcher:
        """A new watch over what other connections commit."""
        ...

    def log_id(self) -> str | None:
        """The log that the views are of."""
        ...

    def entries(self) -> list[Entry]:
        """All generations of all views."""
        ...

    def skips(self, view: View) -> frozenset[int]:
        """The positions that this version of a view passes over."""
        ...

    def skip(self, skips: Iterable[Skip]) -> None:
        """Record what views pass over from now on. They are durable when it returns.

        Raises:
            OSError: it cannot be written; nothing was recorded.
        """
        ...

    def recorded_skips(self) -> tuple[Skip, ...]:
        """Everything that views of any log were told to pass over, as far as this process knows; it waits for nothing."""
        ...

    def transaction(self, *, large: bool = False) -> AbstractContextManager[None]:
        """All or nothing of what the block writes. A large one gets room to keep the pages that it changes."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """All or nothing of what the block writes, inside a transaction that goes on."""
        ...

    def clear(self, log_id: str) -> None:
        """Drop every view: from now on they are of this log."""
        ...

    def create(self, view: View, entry: Entry) -> None:
        """Make the tables of a new generation and its entry."""
        ...

    def expose(self, view: View, entry: Entry) -> None:
        """Make queries see this generation. Inside a transaction."""
        ...

    def drop(self, view: View, entry: Entry) -> None:
        """Drop a generation that no query sees any more, of this or an earlier version. Inside a transaction."""
        ...

    def advance(self, before: Entry, after: Entry) -> None:
        """Move an entry on. Inside the transaction that holds its rows.

        Raises:
            Overtaken: the entry is not where it was.
        """
        ...

    def advance_together(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        """Move entries that stand at one position on to another. Inside the transaction that holds their rows.

        Raises:
            Overtaken: one of them is not where it was.
        """
        ...

    def write(self, view: View, generation: int, changes: Sequence[Change]) -> None:
        """Carry out changes on the tables of one generation."""
        ...

    def is_hindered(self, error: Exception) -> bool:
        """Whether an error is the machine's, the server's or the network's: tried again, and no fault of a view."""
        ...
