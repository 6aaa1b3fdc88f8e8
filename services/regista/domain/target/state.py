"""What the rules need to know of a target: all of it, since each event says what was before."""

from __future__ import annotations

from dataclasses import dataclass

from regista.domain.events import SecretRef


@dataclass(frozen=True, slots=True)
class TargetState:
    """``sequence`` is that of the last event folded. A target that was removed does not exist, until it is put anew."""

    sequence: int = 0
    name: str = ""
    kind: str = ""
    description: str = ""
    settings: str = "{}"
    secrets: tuple[SecretRef, ...] = ()
    removed: bool = False

    @property
    def exists(self) -> bool:
        """Whether something can be deployed to it."""
        return self.sequence > 0 and not self.removed


EMPTY = TargetState()
"""A target of which nothing has happened yet."""
