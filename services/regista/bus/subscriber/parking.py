"""Where events go that a handler could not handle: somebody has to look at them, and nothing is skipped in silence."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from regista.bus.subscriber.logged import LoggedEvent
from regista.bus.subscriber.positions import sync_folder

_TAIL = 2**20
"""Bytes from the end of the file in which its last line is looked for; an event has up to 512 KiB."""


@dataclass(frozen=True, slots=True)
class Parked:
    """An event with what its handler raised last, after so many attempts."""

    event: LoggedEvent
    error: Exception
    attempts: int

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON's own types."""
        return {
            **self.event.as_json(),
            "error": "".join(traceback.format_exception(self.error)),
            "attempts": self.attempts,
            "parked_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }


Park: TypeAlias = Callable[[Parked], Awaitable[None]]
"""Puts an event where it is kept. Once it returns, the subscriber goes on behind the event."""


class ParkingFile:
    """A file of JSON lines, one for each parked event, synced before the subscriber goes on.

    After a crash an event may be parked again; it is not written twice in a row.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def __call__(self, parked: Parked) -> None:
        """Append it."""
        await asyncio.to_thread(self._append, parked)

    def _append(self, parked: Parked) -> None:
        with self._path.open("a+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            *lines, torn = file.read().split(b"\n")
            if torn:
                file.truncate(size - len(torn))
            if lines and _is_of(lines[-1], parked.event):
                return
            file.write(json.dumps(parked.as_json(), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)


def _is_of(line: bytes, event: LoggedEvent) -> bool:
    try:
        last = json.loads(line)
        return (last["log_id"], last["position"]) == (event.log_id, event.position)
    except (ValueError, KeyError, TypeError):
        return False
