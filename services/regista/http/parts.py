"""The parts of a process beside its HTTP: how each stands, for ``/v1/status``, ``/readyz`` and whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from regista.domain.errors import Reason


@dataclass(frozen=True, slots=True)
class PartState:
    """How a part stands. ``shown`` is JSON; ``hindrance`` is why the process is not ready because of it."""

    shown: Mapping[str, Any] = field(default_factory=dict)
    hindrance: Reason | None = None


class Part(Protocol):
    """Something that runs beside the API."""

    @property
    def name(self) -> str:
        """What it is called in the status."""
        ...

    def state(self) -> PartState:
        """How it stands now."""
        ...
