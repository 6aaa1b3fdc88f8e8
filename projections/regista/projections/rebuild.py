"""An explicit rebuild under way, and how what it built compares with what it replaces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from regista.projections.catalogue import Entry
from regista.projections.desk import ViewsSource
from regista.projections.digest import view_digest
from regista.projections.reader import Reader
from regista.projections.views.base import View

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A view's digests before and after. ``before`` is None where there is nothing to compare with.

    That is so when the definition of the view changed, or the old one stood still before this position.
    """

    view: str
    version: int
    position: int
    before: str | None
    after: str

    @property
    def equal(self) -> bool | None:
        """Whether both agree; None where they cannot be compared."""
        return None if self.before is None else self.before == self.after


class Blocking(Protocol):
    """Runs work in the projector's thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of the work."""
        ...


class Rebuild:
    """One rebuild: who waits for it, and the comparison that runs beside the projection."""

    def __init__(
        self,
        done: asyncio.Future[list[Comparison]],
        progress: Callable[[int, int], None] | None,
        wake: Callable[[], None],
    ) -> None:
        """``wake`` is called when the comparison is done."""
        self.done = done
        self._wake = wake
        self._progress = progress
        self._comparing: asyncio.Task[list[Comparison]] | None = None
        self._comparisons: list[Comparison] = []

    def report(self, position: int, goal: int) -> None:
        """Tell whoever asked how far it is."""
        if self._progress is not None:
            self._progress(position, goal)

    async def compared(self, database: ViewsSource, views: Mapping[str, View], blocking: Blocking) -> bool:
        """Whether the digests are known. The first call begins to compute them, in a snapshot of this moment.

        Raises:
            Exception: whatever hindered the comparison; it does so at every further call.
        """
        if self._comparing is None:
            reader, entries = await blocking(lambda: _snapshot(database))
            self._comparing = asyncio.create_task(asyncio.to_thread(_compare, reader, entries, views))
            self._comparing.add_done_callback(lambda _: self._wake())
        if not self._comparing.done():
            return False
        self._comparisons = self._comparing.result()
        return True

    def finish(self) -> None:
        """It is done: answer."""
        if not self.done.done():
            self.done.set_result(self._comparisons)

    def fail(self, error: BaseException) -> None:
        """It is given up: answer so."""
        if self._comparing is not None:
            self._comparing.cancel()
        if not self.done.done():
            if isinstance(error, asyncio.CancelledError):
                self.done.cancel()
            else:
                self.done.set_exception(error)


def _snapshot(database: ViewsSource) -> tuple[Reader, list[Entry]]:
    reader = database.reader()
    reader.begin()
    return reader, reader.entries()


def _compare(reader: Reader, entries: list[Entry], views: Mapping[str, View]) -> list[Comparison]:
    try:
        return [_comparison(reader, e, entries, views[e.view]) for e in entries if not e.readable and e.view in views]
    finally:
        reader.close()


def _comparison(reader: Reader, new: Entry, entries: list[Entry], view: View) -> Comparison:
    old = next((e for e in entries if e.readable and (e.view, e.version) == (new.view, new.version)), None)
    comparable = old is not None and old.progress == new.progress
    before = view_digest(reader, view, old.generation) if old is not None and comparable else None
    return Comparison(view.name, view.version, new.position, before, view_digest(reader, view, new.generation))


def readable_digests(database: ViewsSource, views: Mapping[str, View]) -> dict[str, str]:
    """The digest of every view that queries are answered from, all at one moment."""
    reader = database.reader()
    try:
        with reader.snapshot():
            entries = [e for e in reader.entries() if e.readable and e.view in views]
            return {e.view: view_digest(reader, views[e.view], e.generation) for e in entries}
    finally:
        reader.close()
