"""The model stream: ``decide(state, command, context)`` answers with events, ``evolve(state, event)`` folds them."""

from regista.domain.model.context import Context, KnownArtifact
from regista.domain.model.decide import decide
from regista.domain.model.evolve import evolve, fold
from regista.domain.model.state import EMPTY, ModelState, VersionState

__all__ = ["EMPTY", "Context", "KnownArtifact", "ModelState", "VersionState", "decide", "evolve", "fold"]
