"""Commands on a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from regista.domain.context import Context, State
from regista.domain.model import VersionState
from regista.domain.references import target_stream
from regista.domain.target import TargetState, decide
from regista.domain.target.commands import Command, RemoveTarget
from regista.registrar.subjects.base import Given, Held, StreamEvent

ENDPOINTS = "endpoint/"


class TargetSubject:
    """Implements ``Subject``.

    Before one is removed, all endpoints are asked whether they are deployed to it. One that is created meanwhile is not
    among them: its next change of traffic says that the target is gone.
    """

    moment: Final = None

    def __init__(self, command: Command) -> None:
        self._command = command
        self.stream = target_stream(command.target)
        self.prefix = ENDPOINTS if isinstance(command, RemoveTarget) else None

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - none leads to another
        """The target, and all endpoints where it is to be removed."""
        return (self.stream, *found)

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:  # noqa: ARG002 - there are none
        """None: nothing is served by it."""
        return iter(())

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of targets say."""
        state = cast("TargetState", held[self.stream])
        context = Context(given.reason, held, plain=given.plain, kept=given.kept)
        return [(self.stream, event) for event in decide(state, self._command, context)]
