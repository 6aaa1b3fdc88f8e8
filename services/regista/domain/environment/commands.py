"""The commands of environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class DefineEnvironment:
    """Say, as a whole, what holds in an environment. No ``regions``: one, without a name."""

    environment: str
    stages: tuple[str, ...]
    regions: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class RollBackEnvironment:
    """Bring all endpoints of an environment, and the stages it serves, back to what they were at a moment.

    ``at`` is the moment as it was named; which states it stands for is the caller's to find out.
    """

    environment: str
    at: str


Command: TypeAlias = DefineEnvironment
"""What is decided on the stream of one environment. A rollback writes several streams."""
