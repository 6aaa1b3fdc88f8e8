"""Which events a subscription is told of: pure, from the filters and from what an event is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from regista.domain.events import Event
from regista.domain.subscription.filters import fits

_PREFIX = "regista."
_VERSION = re.compile(r"\.v\d+$")


@dataclass(frozen=True, slots=True)
class Facts:
    """What filters look at. Names of models and environments are in lower case; empty where an event has none."""

    type: str
    stream: str
    actor: str
    model: str = ""
    environment: str = ""


def facts_of(type_: str, stream: str, actor: str, event: Event | None) -> Facts:
    """The facts of an event; of a type that this release does not know, those that its stream tells."""
    kind, _, name = stream.partition("/")
    model = name if kind == "model" else str(getattr(event, "model", ""))
    environment = name.partition("/")[0] if kind in ("environment", "endpoint") else ""
    return Facts(type_, stream, actor, model.lower(), environment.lower())


@dataclass(frozen=True, slots=True)
class Filter:
    """Five lists, each of which must let an event through; an empty one lets everything through.

    ``*`` stands for any characters, none as well. A type is named in full (``regista.version.promoted.v1``) or in
    short (``version.promoted``, ``endpoint.*``). Streams, models and environments are compared without regard to case.
    """

    types: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()

    def matches(self, facts: Facts) -> bool:
        """Whether an event with these facts passes."""
        return (
            _any(self.types, (facts.type, short_type(facts.type)))
            and _any(self.models, (facts.model,), fold=True)
            and _any(self.streams, (facts.stream,), fold=True)
            and _any(self.environments, (facts.environment,), fold=True)
            and _any(self.actors, (facts.actor,))
        )


@lru_cache(256)
def short_type(type_: str) -> str:
    """``regista.version.promoted.v1`` is ``version.promoted`` in short."""
    return _VERSION.sub("", type_.removeprefix(_PREFIX))


def _any(patterns: Sequence[str], values: Sequence[str], *, fold: bool = False) -> bool:
    if not patterns:
        return True
    return any(value and fits(pattern, value, fold=fold) for pattern in patterns for value in values)
