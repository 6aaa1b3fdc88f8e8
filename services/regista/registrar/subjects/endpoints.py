"""Commands on an endpoint: what its model, its environment and its targets are, its own state says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, cast

from regista.domain.context import Context, State
from regista.domain.endpoint import EndpointState, decide
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.lookup import named_streams
from regista.domain.endpoint.state import rollback_targets
from regista.domain.errors import RegistaError
from regista.domain.events import Variant
from regista.domain.model import ModelState, VersionState
from regista.domain.model.lookup import find_version
from regista.domain.references import endpoint_stream, model_stream
from regista.registrar.subjects.base import LOOKAHEAD, Given, Held, StreamEvent


class EndpointSubject:
    """Implements ``Subject``."""

    prefix: Final = None
    moment: Final = None

    def __init__(self, command: c.Command) -> None:
        self._command = command
        self.stream = endpoint_stream(command.environment, command.endpoint)

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - its state names them all
        """The endpoint; once its state is known, what it stands among.

        For a rollback the model, too: it knows which artifacts are stored here, and can be looked for.
        """
        state = held(self.stream)
        if not isinstance(state, EndpointState):
            return (self.stream,)
        model = [model_stream(state.model)] if state.exists and isinstance(self._command, c.RollBackEndpoint) else []
        return list(dict.fromkeys([self.stream, *named_streams(state, self._command), *model]))

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:  # noqa: ARG002 - of now alone
        """What is asked for, and what stays; for a rollback what it may return to."""
        state = held(self.stream)
        if not isinstance(state, EndpointState) or not state.exists:
            return
        model = held(model_stream(state.model))
        if not isinstance(model, ModelState):
            return
        match self._command:
            case c.ChangeTraffic():
                refs = [variant.ref for variant in self._command.variants]
                if self._command.promote is not None:
                    refs.append(self._command.promote)
                yield from named(model, refs)
                yield from pinned(model, state.variants)
            case c.FollowVersion():
                yield from named(model, [self._command.followed])
                yield from pinned(model, state.variants)
            case c.RollBackEndpoint(to=to):
                change = None if to is None else state.find(to)
                changes = ([] if change is None else [change]) + list(islice(rollback_targets(state), LOOKAHEAD))
                for one in changes:
                    yield from pinned(model, one.variants)
            case _:
                return

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """What the rules of endpoints say."""
        state = cast("EndpointState", held[self.stream])
        context = Context(given.reason, held, given.missing, given.plain)
        return [(self.stream, event) for event in decide(state, self._command, context)]


def named(model: ModelState, refs: Iterable[str]) -> Iterator[VersionState]:
    """The versions of those references that name one: of the others the decision tells."""
    for ref in refs:
        try:
            yield find_version(model, ref)
        except RegistaError:
            continue


def pinned(model: ModelState, variants: Iterable[Variant]) -> Iterator[VersionState]:
    """The versions of variants."""
    for variant in variants:
        version = model.versions.get(variant.ordinal)
        if version is not None:
            yield version
