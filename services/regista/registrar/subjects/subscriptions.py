"""Commands on one subscription."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from regista.domain.context import Context, State
from regista.domain.model import VersionState
from regista.domain.references import subscription_stream
from regista.domain.subscription import SubscriptionState, decide
from regista.domain.subscription.commands import Command
from regista.registrar.subjects.base import Given, Held, StreamEvent


class SubscriptionSubject:
    """Implements ``Subject``."""

    prefix: Final = None
    moment: Final = None

    def __init__(self, command: Command) -> None:
        self._command = command
        self.stream = subscription_stream(command.subscription)

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - the command names it
        """The subscription alone."""
        return (self.stream,)

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:  # noqa: ARG002 - there are none
        """None: nothing is served by it."""
        return iter(())

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of subscriptions say."""
        state = cast("SubscriptionState", held[self.stream])
        context = Context(given.reason, plain=given.plain, kept=given.kept, now=given.now)
        return [(self.stream, event) for event in decide(state, self._command, context)]
