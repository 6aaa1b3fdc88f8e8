"""The newest change that a target was given, kept on disk: nothing older is applied after it.

It is written before anything else is done. After a crash it may name a change that is not there yet; then this one and
newer ones may come, and no older one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regista.deployer.targets import files
from regista.deployer.targets.base import TargetFailed, Wanted


class Guard:
    """The newest change of each endpoint, one small file for each below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def admitted(self, wanted: Wanted) -> Iterator[None]:
        """Go on with a change that is not older than the newest, alone among all processes with this folder. Blocks.

        Changes of another log cannot be compared: they are let in, and are the newest from then on.

        Raises:
            TargetFailed: ``outdated``.
        """
        place = self._folder / wanted.environment.lower() / f"{wanted.endpoint.lower()}.json"
        with files.locked(place.with_suffix(".lock"), self._folder):
            log, newest = _read(place)
            if log == wanted.log and newest > wanted.change:
                raise outdated(wanted, newest)
            if (log, newest) != (wanted.log, wanted.change):
                known = {"log": wanted.log, "change": wanted.change, "position": wanted.position}
                files.overwrite(place, json.dumps(known).encode(), self._folder)
            yield

    def admit(self, wanted: Wanted) -> None:
        """Remember a change that is not older than the newest, and let go. Blocks; raises as ``admitted``."""
        with self.admitted(wanted):
            pass


def outdated(wanted: Wanted, newest: int) -> TargetFailed:
    """The refusal of a change that is older than what the target has."""
    return TargetFailed(
        f"{wanted} is older than change {newest}, which is there",
        code="outdated",
        hint="Nothing is to be done: the newer one stays.",
        retryable=False,
    )


def _read(place: Path) -> tuple[str, int]:
    """Log and change; the file is written as a whole, so what cannot be read is damage, and no reason to go on."""
    try:
        known = json.loads(place.read_bytes())
        return str(known["log"]), int(known["change"])
    except FileNotFoundError:
        return "", 0
    except (ValueError, KeyError, TypeError) as error:
        raise TargetFailed(
            f"{place} cannot be read: {error}",
            code="guard_damaged",
            hint="It holds the newest change that was applied. Remove it to have the newest one applied again.",
            retryable=False,
        ) from error
