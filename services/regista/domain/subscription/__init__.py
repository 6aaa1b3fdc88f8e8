"""The subscription stream: ``decide`` answers with events, ``evolve`` folds them."""

from regista.domain.subscription.decide import decide
from regista.domain.subscription.evolve import evolve, fold
from regista.domain.subscription.state import EMPTY, SubscriptionState

__all__ = ["EMPTY", "SubscriptionState", "decide", "evolve", "fold"]
