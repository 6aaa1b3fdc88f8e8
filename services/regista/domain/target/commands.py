"""The commands of targets: systems that deployments are made to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from regista.domain.secrets import GivenSecret


@dataclass(frozen=True, slots=True)
class PutTarget:
    """Say, as a whole, what a target is. ``settings`` is one JSON object as text.

    Nobody can read a secret back, so those alone need not be said again: while the kind is the same, one that is neither
    among ``secrets`` nor among the names to ``forget`` stays as it is.
    """

    target: str
    kind: str
    settings: str = "{}"
    secrets: tuple[GivenSecret, ...] = ()
    description: str = ""
    forget: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveTarget:
    """Deploy nothing to it any more."""

    target: str


Command: TypeAlias = PutTarget | RemoveTarget
