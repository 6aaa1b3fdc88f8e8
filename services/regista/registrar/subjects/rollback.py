"""A rollback of a whole environment: one decision on all its endpoints and on the models that they serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from regista.domain.context import Context, State
from regista.domain.endpoint import EndpointState
from regista.domain.environment import EnvironmentState
from regista.domain.environment.commands import RollBackEnvironment
from regista.domain.environment.rollback import roll_back_environment
from regista.domain.model import ModelState, VersionState
from regista.domain.references import environment_stream, model_stream
from regista.registrar.subjects.base import Given, Held, StreamEvent
from regista.registrar.subjects.endpoints import pinned


class EnvironmentRollback:
    """Implements ``Subject``.

    An endpoint that is created while this is decided is not among those found, and has nothing to be brought back.
    """

    def __init__(self, command: RollBackEnvironment) -> None:
        self._command = command
        self.stream = environment_stream(command.environment)
        self.prefix = f"endpoint/{command.environment.lower()}/"
        self.moment = command.at

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:
        """The environment, its endpoints, and the model of each as soon as its state is known."""
        endpoints = [state for state in map(held, found) if isinstance(state, EndpointState) and state.exists]
        return list(dict.fromkeys([self.stream, *found, *(model_stream(state.model) for state in endpoints)]))

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:
        """What was served then, and what held the stages of the environment."""
        environment = held(self.stream)
        stages = environment.stages if isinstance(environment, EnvironmentState) else ()
        for stream, state in then.items():
            model = held(model_stream(state.model) if isinstance(state, EndpointState) and state.exists else stream)
            if not isinstance(model, ModelState):
                continue
            if isinstance(state, EndpointState):
                yield from pinned(model, state.variants)
            elif isinstance(state, ModelState):
                for stage in stages:
                    if stage in state.policy.stages:
                        yield from (model.versions[ordinal] for ordinal in state.stage(stage).holders)

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of rollbacks say."""
        context = Context(given.reason, {}, given.missing, given.plain)
        return roll_back_environment(self._command, held, given.then, context)
