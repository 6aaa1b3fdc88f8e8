"""The event stream's source: the view of events of this process, read in threads of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from regista.domain.chain import event_hash
from regista.http.sse import frame
from regista.http.tail import Part, Told, Wanted
from regista.projections.api.answers import encode
from regista.projections.api.events import events
from regista.projections.desk import ViewsSource
from regista.projections.projection import Projection
from regista.projections.reader import Reader
from regista.projections.views.events import VIEW
from regista.store.log import LogReader

_THREADS = 4


class ViewedEvents:
    """Implements ``Source``. Events are those of ``GET /v1/events``, filters too."""

    def __init__(self, projector: Projection, database: ViewsSource, log: LogReader) -> None:
        self._projector = projector
        self._database = database
        self._log = log
        self._idle: deque[Reader] = deque()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="event-stream")

    def position(self) -> int:
        """How far the view is folded."""
        return next(view.position for view in self._projector.status().views if view.name == VIEW.name)

    def end(self) -> int:
        """The newest position of the log."""
        return self._log.max_position()

    def log_id(self) -> str:
        """The identity of the log."""
        return self._log.log_id

    async def hash_at(self, position: int) -> str | None:
        """The hash, in hex, of the event at exactly this position of the log; None where there is none."""
        row = await asyncio.get_running_loop().run_in_executor(self._threads, self._log.row, position)
        return None if row is None else event_hash(row.stream, row.sequence, row.value).hex()

    async def read(self, after: int, limit: int, wanted: Wanted) -> Part:
        """The next events behind a position.

        Raises:
            Unavailable: the view cannot be read now.
            Malformed: the filters contradict each other, or name a type that does not exist.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, after, limit, wanted)

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - a poll interval, not a deadline
        """Return when the view is beyond a position, after ``timeout`` seconds at the latest."""
        await self._projector.wait_for(position + 1, timeout, [VIEW.name])

    def close(self) -> None:
        """End the threads and close their connections."""
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().close()

    def _read(self, after: int, limit: int, wanted: Wanted) -> Part:
        reader = self._idle.pop() if self._idle else self._database.reader()
        try:
            with reader.snapshot():
                answer = events(reader, {"after": after, "limit": limit} | wanted.given())
        finally:
            self._idle.append(reader)
        page = orjson.loads(answer.body)
        return Part([_told(event) for event in page["items"]], page["next"] is not None)


def _told(event: dict[str, Any]) -> Told:
    text = frame(event["position"], event["type"], encode(event))
    return Told(event["position"], event["stream"], event["type"], event["actor"], text, event["hash"])
