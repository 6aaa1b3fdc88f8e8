"""What was read of stored artifacts: kept, since bytes under a digest never change, and whether they were there lately."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from regista.artifacts.describe import Description
    from regista.artifacts.manifest import Manifest

_ARTIFACTS = 512
_FILES = 1_000
"""Artifacts with more files are read anew each time: so memory has a bound."""


@dataclass(slots=True)
class Known:
    """A stored artifact: its manifest, when all of it was last seen there, and what it turned out to be."""

    manifest: Manifest
    seen_at: datetime
    description: Description | None = None


class KnownArtifacts:
    """A cache of artifacts by digest; the one used longest ago goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()

    def get(self, digest: str) -> Known | None:
        """Return what is known of an artifact."""
        known = self._known.get(digest)
        if known is not None:
            self._known.move_to_end(digest)
        return known

    def keep(self, known: Known) -> None:
        """Remember an artifact, unless it is too large for that."""
        if len(known.manifest.files) <= _FILES:
            self._known[known.manifest.digest] = known
            if len(self._known) > _ARTIFACTS:
                self._known.popitem(last=False)

    def seen_since(self, digest: str, moment: datetime, span: timedelta) -> Known | None:
        """Return what is known of an artifact that was there within ``span`` before ``moment``."""
        known = self.get(digest)
        return known if known is not None and known.seen_at > moment - span else None

    def forget(self) -> None:
        """Know nothing: something was deleted."""
        self._known.clear()
