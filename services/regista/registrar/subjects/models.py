"""Commands on a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, cast

from regista.domain import commands as c
from regista.domain.context import State
from regista.domain.errors import RegistaError
from regista.domain.model import EMPTY, Context, ModelState, VersionState, decide
from regista.domain.model.lookup import find_version
from regista.domain.model.registration import named_models
from regista.domain.model.stages import rollback_targets
from regista.domain.references import model_stream
from regista.registrar.subjects.base import LOOKAHEAD, Given, Held, StreamEvent


class ModelSubject:
    """Implements ``Subject``."""

    prefix: Final = None
    moment: Final = None

    def __init__(self, command: c.Command) -> None:
        self._command = command
        self.stream = model_stream(command.model)
        self._others = named_models(command) if isinstance(command, c.RegisterVersion) else []
        self._all = [self.stream, *self._others]

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - the command names them all
        """The model, and those that a registration names."""
        return self._all

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:  # noqa: ARG002 - of now alone
        """The version that is promoted, or those that a rollback may return to."""
        if not isinstance(self._command, c.Promote | c.RollBack):
            return
        state = held(self.stream)
        if not isinstance(state, ModelState):
            state = EMPTY
        match self._command:
            case c.Promote(ref=ref) | c.RollBack(to=str(ref)):
                try:
                    yield find_version(state, ref)
                except RegistaError:
                    return  # the decision says so
            case _:
                pass
        if isinstance(self._command, c.RollBack):
            yield from islice(rollback_targets(state, self._command.stage), LOOKAHEAD)

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of models say."""
        states = cast("Mapping[str, ModelState]", held)
        others = {name: states[name] for name in self._others}
        context = Context(given.reason, others, given.missing, given.known, given.plain)
        return [(self.stream, event) for event in decide(states[self.stream], self._command, context)]
