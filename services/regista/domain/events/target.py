"""The events of the target stream: a system that deployments are made to. No secret stands in any of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from regista.domain.events.base import Event


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret that is kept elsewhere: what it is called, its id there, and a fingerprint of its content.

    ``expires_at``: from then on it does not count any more, and may be gone; None: as long as it is named.
    """

    name: str
    id: str
    fingerprint: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TargetCreated(Event):
    """A name was taken, for the first time or again after a removal. ``settings`` is one JSON object as text."""

    TYPE: ClassVar[str] = "regista.target.created.v1"
    target: str
    kind: str
    description: str
    settings: str
    secrets: tuple[SecretRef, ...]


@dataclass(frozen=True, slots=True)
class TargetChanged(Event):
    """The target as a whole from now on, and as it was before."""

    TYPE: ClassVar[str] = "regista.target.changed.v1"
    target: str
    kind: str
    description: str
    settings: str
    secrets: tuple[SecretRef, ...]
    previous_kind: str
    previous_description: str
    previous_settings: str
    previous_secrets: tuple[SecretRef, ...]


@dataclass(frozen=True, slots=True)
class TargetRemoved(Event):
    """Nothing is deployed to it any more. What it was before."""

    TYPE: ClassVar[str] = "regista.target.removed.v1"
    target: str
    previous_kind: str
    previous_description: str
    previous_settings: str
    previous_secrets: tuple[SecretRef, ...]
