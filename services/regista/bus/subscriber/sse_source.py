"""Events over HTTP: the event stream of a registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

import httpx

from regista.bus.subscriber.interest import Interest
from regista.bus.subscriber.logged import Bookmark, Data, LoggedEvent
from regista.bus.subscriber.source import Item, Start, readable
from regista.client.follow import SILENCE
from regista.client.listening import Listener, Reached
from regista.client.settings import Settings
from regista.domain.errors import BeyondLog, Unavailable
from regista.domain.events import EVENT_TYPES, Identity
from regista.domain.records import from_json
from regista.wire.resources import Event, Status


class SseSource:
    """Implements ``Source``. The registry filters what it can; the place read on from is checked by it."""

    def __init__(
        self,
        settings: Settings,
        interest: Interest,
        *,
        silence: float = SILENCE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._listener = Listener(settings, silence=silence, transport=transport)
        self._filters = interest.query()
        self._end: tuple[str, int] | None = None

    async def begin(self, start: Start) -> Bookmark:
        """The place to begin at: the end is that of the log, however far the view of it is behind.

        Asked again because the view had not come that far, it is the end that was found first, else a view that stays a
        little behind would never come to it.
        """
        status = await self._listener.status()
        log_id, end = status.log_id, self._end_of(status)
        if start in ("start", 0):
            return Bookmark(log_id, 0, "")
        if isinstance(start, int) and start > status.log_position:
            raise BeyondLog(f"the log ends at {status.log_position}, before position {start}")
        visible = start if isinstance(start, int) else end
        try:
            newest = await self._listener.newest(visible=visible)
            if isinstance(start, int) and newest is not None and newest.position > start:
                newest = await self._listener.newest(start, visible=visible)
        except Unavailable as error:
            raise _why_not_visible(status) or error from error
        self._end = None
        return Bookmark(log_id, 0, "") if newest is None else Bookmark(log_id, newest.position, newest.hash)

    def _end_of(self, status: Status) -> int:
        """The end of the log when it was first asked for, unless it is another log by now."""
        log_id, end = self._end or ("", 0)
        if log_id != status.log_id or end > status.log_position:
            log_id, end = self._end = (status.log_id, status.log_position)
        return end

    async def read(self, after: Bookmark) -> AsyncIterator[Sequence[Item]]:
        """What is behind a place, and what comes, over one connection."""
        query = {**self._filters, "log_id": after.log_id, "hash": after.hash or None}
        told = self._listener.read(after.position, query)
        async with aclosing(cast("Any", told)):
            async for piece in told:
                async for items in readable(_item(one, after.log_id) for one in piece):
                    yield items

    async def aclose(self) -> None:
        """Close the connections."""
        await self._listener.aclose()


def _why_not_visible(status: Status) -> Unavailable | None:
    """What keeps the views, as the registry itself says it; None where they are only late."""
    for view in status.views:
        if view.error is not None:
            return Unavailable(f"the view {view.name} stands still: {view.error}", code="view_degraded", hint=view.hint)
    projector = status.components.get("projector", {})
    if (said := projector.get("error")) is None:
        return None
    hint = projector.get("hint")
    return Unavailable(f"the views do not move: {said}", code="views_behind", hint=None if hint is None else str(hint))


def _item(told: Event | Reached, log_id: str) -> Item:
    if isinstance(told, Reached):
        return Bookmark(log_id, told.position, told.hash)
    return logged(told, log_id)


def logged(event: Event, log_id: str) -> LoggedEvent:
    """An event of the API, typed.

    Raises:
        Damaged: its data are not those of its type.
    """
    return LoggedEvent(
        position=event.position,
        stream=event.stream,
        sequence=event.sequence,
        type=event.type,
        time=event.time,
        actor=event.actor,
        identity=cast("Identity", event.identity),
        reason=event.reason,
        command_id=event.command_id,
        cause=event.cause,
        previous_hash=event.previous_hash,
        hash=event.hash,
        log_id=log_id,
        data=_data(event.type, event.data),
    )


def _data(kind: str, data: Mapping[str, Any]) -> Data:
    return from_json(kind, data) if kind in EVENT_TYPES else data
