"""The endpoint stream: ``decide(state, command, context)`` answers with events, ``evolve(state, event)`` folds them."""

from regista.domain.endpoint.decide import decide
from regista.domain.endpoint.entering import entering
from regista.domain.endpoint.evolve import evolve, fold
from regista.domain.endpoint.lookup import named_streams
from regista.domain.endpoint.state import EMPTY, EndpointState

__all__ = ["EMPTY", "EndpointState", "decide", "entering", "evolve", "fold", "named_streams"]
