"""Which kinds of streams decisions are made on, and what folds each: a table by the prefix of the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from regista.domain import endpoint, environment, model, subscription, target
from regista.domain.context import State
from regista.domain.errors import Internal
from regista.domain.events import Event

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """A kind of stream: the state of which nothing has happened yet, and how events change it."""

    prefix: str
    empty: S
    evolve: Callable[[S, Event], S]
    fold: Callable[[Iterable[Event], S], S]
    """Folds events onto a state; without one, onto ``empty``."""


MODEL: Final = Kind("model", model.EMPTY, model.evolve, model.fold)
ENVIRONMENT: Final = Kind("environment", environment.EMPTY, environment.evolve, environment.fold)
TARGET: Final = Kind("target", target.EMPTY, target.evolve, target.fold)
ENDPOINT: Final = Kind("endpoint", endpoint.EMPTY, endpoint.evolve, endpoint.fold)
SUBSCRIPTION: Final = Kind("subscription", subscription.EMPTY, subscription.evolve, subscription.fold)

KINDS: Final[Mapping[str, Kind[Any]]] = {
    kind.prefix: kind for kind in (MODEL, ENVIRONMENT, TARGET, ENDPOINT, SUBSCRIPTION)
}
"""The closed table. The log's own stream is not in it: nobody decides on that."""


def kind_of(stream: str) -> Kind[Any]:
    """The kind of a stream.

    Raises:
        Internal: ``unknown_kind``, when no decisions are made on such a stream.
    """
    kind = KINDS.get(stream.partition("/")[0])
    if kind is None:
        raise Internal(f"no decisions are made on {stream}", code="unknown_kind")
    return kind
