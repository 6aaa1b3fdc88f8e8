"""The target stream: ``decide`` answers with events, ``evolve`` folds them."""

from regista.domain.target.decide import decide
from regista.domain.target.evolve import evolve, fold
from regista.domain.target.state import EMPTY, TargetState

__all__ = ["EMPTY", "TargetState", "decide", "evolve", "fold"]
