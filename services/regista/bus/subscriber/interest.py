"""Which events a subscriber wants. The rules are those of ``GET /v1/events``; several values of one kind mean any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from regista.bus.subscriber.logged import LoggedEvent
from regista.domain.errors import Malformed
from regista.domain.events import EVENT_TYPES

Names: TypeAlias = str | Iterable[str] | None
_FULL = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+\.v[0-9]+")
_SHORT = {name.removeprefix("regista.").rpartition(".")[0]: name for name in EVENT_TYPES}


@dataclass(frozen=True, slots=True)
class Interest:
    """What is let through; None lets everything."""

    types: frozenset[str] | None = None
    models: frozenset[str] | None = None
    streams: frozenset[str] | None = None
    actors: frozenset[str] | None = None

    @classmethod
    def of(cls, types: Names = None, models: Names = None, streams: Names = None, actors: Names = None) -> Interest:
        """What was named. A type may be short, ``version.promoted``; a model's name in any spelling.

        Raises:
            Malformed: ``unknown_type``: a type that is none, naming those that look like it.
        """
        return cls(
            _set(_type(name) for name in _names(types)) if types is not None else None,
            _set(name.lower() for name in _names(models)) if models is not None else None,
            _set(_names(streams)) if streams is not None else None,
            _set(_names(actors)) if actors is not None else None,
        )

    @property
    def whole_streams(self) -> bool:
        """Whether of a stream all events are let through or none."""
        return self.types is None and self.actors is None

    def wants(self, event: LoggedEvent) -> bool:
        """Whether an event is let through."""
        kind, _, name = event.stream.partition("/")
        return (
            (self.types is None or event.type in self.types)
            and (self.models is None or (kind == "model" and name in self.models))
            and (self.streams is None or event.stream in self.streams)
            and (self.actors is None or event.actor in self.actors)
        )

    def query(self) -> dict[str, str]:
        """What a registry can let through by itself: it takes one value of each kind."""
        kinds = {"type": self.types, "model": self.models, "stream": self.streams, "actor": self.actors}
        return {kind: next(iter(names)) for kind, names in kinds.items() if names is not None and len(names) == 1}


EVERYTHING = Interest()


def _names(given: Names) -> Iterable[str]:
    return (given,) if isinstance(given, str) else given or ()


def _set(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _type(name: str) -> str:
    if name in EVENT_TYPES or _FULL.fullmatch(name):  # a newer release may know more of them
        return name
    if name in _SHORT:
        return _SHORT[name]
    near = get_close_matches(name, [*_SHORT, *EVENT_TYPES], 3) or sorted(_SHORT)
    raise Malformed(f"{name[:80]!r} is no type of event", code="unknown_type", hint=f"There is {', '.join(near)}.")
