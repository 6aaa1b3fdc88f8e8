"""What the rules need to know of a subscription: all of it, since each event says what was before."""

from __future__ import annotations

from dataclasses import dataclass

from regista.domain.events import SecretRef, Subscribed

NOTHING = Subscribed(
    url="",
    types=(),
    models=(),
    streams=(),
    environments=(),
    actors=(),
    template="",
    description="",
    disabled=False,
    disabled_reason=None,
    secrets=(),
)


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """``sequence`` is that of the last event folded. One that was removed does not exist, and its id stays taken."""

    sequence: int = 0
    name: str = ""
    now: Subscribed = NOTHING
    removed: bool = False

    @property
    def exists(self) -> bool:
        """Whether events are sent, or would be if it were not disabled."""
        return self.sequence > 0 and not self.removed

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        """Those that count, as far as their time is not up."""
        return self.now.secrets


EMPTY = SubscriptionState()
"""A subscription of which nothing has happened yet."""
