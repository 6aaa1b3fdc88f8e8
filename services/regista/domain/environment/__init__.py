"""The environment stream: ``decide`` answers with events, ``evolve`` folds them."""

from regista.domain.environment.decide import decide
from regista.domain.environment.evolve import evolve, fold
from regista.domain.environment.state import EMPTY, EnvironmentState

__all__ = ["EMPTY", "EnvironmentState", "decide", "evolve", "fold"]
