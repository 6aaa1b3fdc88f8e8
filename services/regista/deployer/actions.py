"""An action: what one target is to be given for one endpoint, how often that was tried, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Row, bindparam

from regista.deployer.reactions import Intent
from regista.deployer.stored import intent_of
from regista.deployer.tables import ACTIONS

Key: TypeAlias = tuple[str, str]
"""The stream of an endpoint, and a target's name in lower case: what is done for one key is done one by one."""


def key_of(intent: Intent) -> Key:
    """Of its endpoint and its target."""
    return intent.stream, intent.target.lower()


SAME = (
    ACTIONS.c.position == bindparam("of_position"),
    ACTIONS.c.stream == bindparam("of_stream"),
    ACTIONS.c.target == bindparam("of_target"),
)
"""The row of an action, in statements that are given its ``place``."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a target is to be given, and the how manieth attempt it is."""

    intent: Intent
    attempts: int
    created: float
    overdue: bool

    @property
    def key(self) -> Key:
        """Of the endpoint and the target."""
        return key_of(self.intent)

    @property
    def run(self) -> int:
        """What tells it from the same one in another run: an explicit ``--from`` deploys what was deployed before."""
        return int(self.created * 1_000)

    @property
    def attempt(self) -> tuple[int, Key, int]:
        """What names this attempt, and no other."""
        return self.intent.position, self.key, self.attempts

    @property
    def place(self) -> dict[str, Any]:
        """The parameters of ``SAME``."""
        stream, target = self.key
        return {"of_position": self.intent.position, "of_stream": stream, "of_target": target}


def action_of(row: Row[Any]) -> Action:
    """The action of a row of ``ACTIONS``."""
    return Action(intent_of(row.intent), row.attempts, row.created, row.overdue)
