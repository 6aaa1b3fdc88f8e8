"""The events of the environment stream: where models are served, and what may be served there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regista.domain.events.base import Event


@dataclass(frozen=True, slots=True)
class EnvironmentDefined(Event):
    """What holds in an environment from now on, as a whole, and what held before.

    ``stages`` are those whose versions may be served there; no ``regions``: one, without a name.
    ``previous_description`` is None when the environment is new.
    """

    TYPE: ClassVar[str] = "regista.environment.defined.v1"
    environment: str
    description: str
    stages: tuple[str, ...]
    regions: tuple[str, ...]
    previous_description: str | None
    previous_stages: tuple[str, ...]
    previous_regions: tuple[str, ...]
