"""The seam between a subscriber and where its events come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Literal, Protocol, TypeAlias

from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.domain.errors import RegistaError

Start: TypeAlias = Literal["end", "start"] | int
"""Where to begin without a stored position: behind the newest event, before the first, or behind a position."""
Item: TypeAlias = LoggedEvent | Bookmark
"""An event; or that all up to a place was told, and that no atomic set goes across it."""


async def readable(items: Iterable[Item]) -> AsyncIterator[Sequence[Item]]:
    """The items in one piece; where one cannot be read those before it, and then why not.

    Raises:
        RegistaError: what reading an item raises.
    """
    found: list[Item] = []
    try:
        found.extend(items)  # keeps what came before an error
    except RegistaError:
        if found:
            yield found
        raise
    yield found


class Source(Protocol):
    """The log, read over connections that break. It repeats nothing by itself."""

    async def begin(self, start: Start) -> Bookmark:
        """The place to begin at.

        Raises:
            BeyondLog: the log has not reached that position.
            Unavailable, Unreachable: not now.
        """
        ...

    def read(self, after: Bookmark) -> AsyncIterator[Sequence[Item]]:
        """What is behind a place, in order of position, and what comes, for as long as the connection lasts.

        The first piece may be empty: it says that the connection stands. Events that nobody wants may be among them. An
        ended iteration is a connection that the other side has closed.

        Raises:
            Refused: ``another_log``, ``log_diverged``: the log does not hold this place.
            Unavailable, Unreachable: the connection cannot be made now, or broke.
        """
        ...

    async def aclose(self) -> None:
        """Give back what it holds."""
        ...
