"""What views were told to pass over: acts of somebody, with a reason.

They are no fold of the log, so they are kept in a file of their own beside the views, which may be made anew at any
time. A skip is of one version of a view, and of one log: an upgrade that can apply the event takes it up again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regista.domain.errors import Damaged

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Skip:
    """One view passes over one position. ``time`` is RFC 3339 in UTC."""

    log_id: str
    view: str
    version: int
    position: int
    reason: str
    actor: str
    time: str


class Skips:
    """The skips of one file. Reading is safe in any thread, writing belongs to one at a time."""

    def __init__(self, path: Path) -> None:
        """Read the file; there may be none.

        Raises:
            Damaged: ``skips_unreadable``.
            OSError: the file cannot be read now.
        """
        self._path = path
        self._recorded = self._read()

    def recorded(self) -> tuple[Skip, ...]:
        """All of them, in the order in which they were recorded."""
        return self._recorded

    def positions(self, log_id: str, view: str, version: int) -> frozenset[int]:
        """What one version of a view passes over."""
        wanted = (log_id, view, version)
        return frozenset(s.position for s in self._recorded if (s.log_id, s.view, s.version) == wanted)

    def add(self, skips: Iterable[Skip]) -> None:
        """Record skips. They are on the disk when it returns; one that is known already keeps its first reason.

        Raises:
            OSError: they cannot be written; nothing was recorded.
        """
        recorded = list(self._read())
        known = {_key(skip) for skip in recorded}
        recorded.extend(skip for skip in skips if _key(skip) not in known)
        temporary = self._path.with_name(f"{self._path.name}.new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, "skips": [asdict(skip) for skip in recorded]}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        _sync(self._path.parent)
        self._recorded = tuple(recorded)

    def _read(self) -> tuple[Skip, ...]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {_FORMAT: _skips}[found["format"]](found["skips"])
        except FileNotFoundError:
            return ()
        except (ValueError, TypeError, KeyError) as error:
            raise Damaged(
                f"{self._path} cannot be read: {error}",
                code="skips_unreadable",
                hint="It says which events views pass over. Restore it, or delete it: the views then stop where they did.",
            ) from error


def _skips(found: Iterable[Mapping[str, Any]]) -> tuple[Skip, ...]:
    return tuple(Skip(**skip) for skip in found)


def _key(skip: Skip) -> tuple[str, str, int, int]:
    return skip.log_id, skip.view, skip.version, skip.position


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
