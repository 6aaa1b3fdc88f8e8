"""Commands on one environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from regista.domain.context import Context, State
from regista.domain.environment import EnvironmentState, decide
from regista.domain.environment.commands import Command
from regista.domain.model import VersionState
from regista.domain.references import environment_stream
from regista.registrar.subjects.base import Given, Held, StreamEvent


class EnvironmentSubject:
    """Implements ``Subject``."""

    prefix: Final = None
    moment: Final = None

    def __init__(self, command: Command) -> None:
        self._command = command
        self.stream = environment_stream(command.environment)

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - the command names it
        """The environment alone."""
        return (self.stream,)

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:  # noqa: ARG002 - there are none
        """None: nothing is served by a definition."""
        return iter(())

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of environments say."""
        state = cast("EnvironmentState", held[self.stream])
        context = Context(given.reason, plain=given.plain)
        return [(self.stream, event) for event in decide(state, self._command, context)]
