"""The commands of targets: systems that deployments are made to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from regista.domain.events import SecretRef


@dataclass(frozen=True, slots=True)
class PutTarget:
    """Say, as a whole, what a target is. ``settings`` is one JSON object as text; its secrets are kept elsewhere."""

    target: str
    kind: str
    settings: str = "{}"
    secrets: tuple[SecretRef, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class RemoveTarget:
    """Deploy nothing to it any more."""

    target: str


Command: TypeAlias = PutTarget | RemoveTarget
