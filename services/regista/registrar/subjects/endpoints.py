"""Commands on an endpoint: what its model, its environment and its targets are, its own state says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from regista.domain.context import Context, State
from regista.domain.endpoint import EndpointState, decide
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.entering import entering
from regista.domain.endpoint.lookup import named_streams
from regista.domain.events import Variant
from regista.domain.model import ModelState, VersionState
from regista.domain.references import endpoint_stream, model_stream
from regista.registrar.subjects.base import Given, Held, StreamEvent


class EndpointSubject:
    """Implements ``Subject``."""

    prefix: Final = None
    moment: Final = None

    def __init__(self, command: c.Command) -> None:
        self._command = command
        self.stream = endpoint_stream(command.environment, command.endpoint)

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - its state names them all
        """The endpoint; once its state is known, what it stands among."""
        state = held(self.stream)
        if not isinstance(state, EndpointState):
            return (self.stream,)
        return (self.stream, *named_streams(state, self._command))

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:  # noqa: ARG002 - of now alone
        """What is asked for; for a rollback what it may return to."""
        state = held(self.stream)
        if not isinstance(state, EndpointState) or not state.exists:
            return
        model = held(model_stream(state.model))
        if not isinstance(model, ModelState):
            return
        yield from entering(state, self._command, model)

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of endpoints say."""
        state = cast("EndpointState", held[self.stream])
        context = Context(given.reason, held, given.missing, given.plain)
        return [(self.stream, event) for event in decide(state, self._command, context)]


def pinned(model: ModelState, variants: Iterable[Variant]) -> Iterator[VersionState]:
    """The versions of variants."""
    for variant in variants:
        version = model.versions.get(variant.ordinal)
        if version is not None:
            yield version
