"""What the rules need to know of an environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """``sequence`` is that of the last event folded; 0: the environment does not exist."""

    sequence: int = 0
    name: str = ""
    description: str = ""
    stages: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether it was ever defined."""
        return self.sequence > 0

    @property
    def places(self) -> tuple[str | None, ...]:
        """Where traffic is split: the regions, or the one place that has no name."""
        return self.regions or (None,)


EMPTY = EnvironmentState()
"""An environment of which nothing has happened yet."""
