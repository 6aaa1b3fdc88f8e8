"""What has come in and not been handed out yet: checked, filtered, each event once and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from regista.bus.subscriber.continuity import Continuity
from regista.bus.subscriber.interest import Interest
from regista.bus.subscriber.logged import Bookmark, LoggedEvent
from regista.bus.subscriber.source import Item
from regista.domain.errors import Refused, RegistaError


class Arrivals:
    """The events behind a place.

    ``passed`` is how far the log was taken in, events that nobody wants included, and ``last_wanted`` the position of
    the newest that somebody does. ``broken`` is set, for good, where something does not follow what came before it.
    """

    def __init__(
        self, begin: Bookmark, interest: Interest, acknowledge: Callable[[LoggedEvent], Awaitable[None]]
    ) -> None:
        self._interest = interest
        self._acknowledge = acknowledge
        self._continuity = Continuity(from_start=begin.position == 0)
        self._ready: deque[LoggedEvent | None] = deque()
        self.passed = begin
        self.last_wanted = begin.position
        self.broken: RegistaError | None = None

    def __bool__(self) -> bool:
        return bool(self._ready)

    def next(self) -> LoggedEvent | None:
        """The next event to hand out; None where an atomic set has ended. There must be something."""
        return self._ready.popleft()

    def take(self, piece: Sequence[Item]) -> None:
        """Take in what came."""
        try:
            for item in piece:
                self._take(item)
        except RegistaError as error:
            self.broken = error

    def _take(self, item: Item) -> None:
        if item.log_id != self.passed.log_id:
            raise Refused(
                f"an event of the log {item.log_id} came where those of {self.passed.log_id} are read",
                code="another_log",
                hint="Each log needs a prefix, and each subscriber to it a position, of its own.",
            )
        if isinstance(item, Bookmark):
            if item.position >= self.passed.position:
                self.passed = item
                self._ready.append(None)
            return
        if item.position <= self.passed.position:
            return
        if self._interest.whole_streams:
            self._continuity.check(item)
        self.passed = item.bookmark
        if self._interest.wants(item):
            self.last_wanted = item.position
            self._ready.append(replace(item, acknowledge=self._acknowledge))


class Sets:
    """Puts together what came from one command. ``following`` is the next event, or None where a set has ended."""

    def __init__(self, following: Callable[[], Awaitable[LoggedEvent | None]]) -> None:
        self._next = following
        self._together: list[LoggedEvent] = []

    def __aiter__(self) -> Sets:
        return self

    async def __anext__(self) -> tuple[LoggedEvent, ...]:
        while True:
            event = await self._next()
            whole = self._together
            if whole and (event is None or event.command != whole[0].command):
                self._together = [] if event is None else [event]
                return tuple(whole)
            if event is not None:
                whole.append(event)
