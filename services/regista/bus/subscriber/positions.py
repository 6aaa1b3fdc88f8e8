"""Where a subscriber keeps how far it has come: in memory, in a file, or in a place of its own."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Protocol

from regista.bus.subscriber.logged import Bookmark
from regista.domain.errors import Damaged, Refused


class Positions(Protocol):
    """One subscriber's bookmark. Implement it over the database that holds your effects, to take each of them once."""

    async def load(self) -> Bookmark | None:
        """What was stored last; None where nothing was stored yet."""
        ...

    async def store(self, bookmark: Bookmark) -> None:
        """Store a bookmark: once it returns, ``load`` gives it, through any crash.

        It also comes with the bookmark that a handler has stored already, and past events that no filter let through.
        """
        ...


class MemoryPositions:
    """Lost with the process. ``bookmark`` is what was stored last."""

    def __init__(self, bookmark: Bookmark | None = None) -> None:
        self.bookmark = bookmark

    async def load(self) -> Bookmark | None:
        """What was stored last."""
        return self.bookmark

    async def store(self, bookmark: Bookmark) -> None:
        """Remember it."""
        self.bookmark = bookmark


class FilePositions:
    """A file of one line of JSON, replaced as a whole and synced: after a loss of power it is the old or the new one.

    A file belongs to one subscriber at a time; one that finds that another has moved it stops.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._known: Bookmark | None = None

    async def load(self) -> Bookmark | None:
        """What was stored last.

        Raises:
            Damaged: ``position_unreadable``.
        """
        self._known = await asyncio.to_thread(self._read)
        return self._known

    async def store(self, bookmark: Bookmark) -> None:
        """Replace the file.

        Raises:
            Refused: ``position_in_use``: another subscriber has written it since.
        """
        await asyncio.to_thread(self._write, bookmark)
        self._known = bookmark

    def _read(self) -> Bookmark | None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = json.loads(text)
            return Bookmark(str(found["log_id"]), int(found["position"]), str(found["hash"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(
                f"{self._path} holds no position",
                code="position_unreadable",
                hint="Restore the file, or remove it and say where to begin.",
            ) from error

    def _write(self, bookmark: Bookmark) -> None:
        if (found := self._read()) != self._known:
            raise Refused(
                f"{self._path} was moved to {found and found.position} by somebody else",
                code="position_in_use",
                hint="Two subscribers use this file: give each its own, or run one of them only.",
            )
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump({"log_id": bookmark.log_id, "position": bookmark.position, "hash": bookmark.hash}, file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        sync_folder(self._path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive the loss of power, where the system can."""
    if os.name != "posix":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
