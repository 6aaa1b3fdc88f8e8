"""The seam between commands and the registrar: which states a decision needs, and the decision on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from regista.domain.context import State
from regista.domain.events import Event, SecretRef
from regista.domain.model import KnownArtifact, VersionState

Held: TypeAlias = Callable[[str], State | None]
"""The state of a stream, where it is in memory."""
StreamEvent: TypeAlias = tuple[str, Event]
"""An event, with the stream that it goes to."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
LOOKAHEAD = 20
"""How many earlier holders, or changes, are looked up in the artifact store for one rollback."""


class Given(NamedTuple):
    """What a decision knows beside the states of its streams.

    ``known`` is what the artifact store says of the artifact to register, ``missing`` which stored ones are gone;
    ``then`` the states at the moment that the command names. ``plain``, ``kept`` and ``now``: as in the domain's
    contexts.
    """

    reason: str | None
    missing: frozenset[str]
    known: KnownArtifact
    plain: bool
    then: Mapping[str, State] = _NOTHING
    kept: Mapping[str, SecretRef] = _NOTHING
    now: datetime | None = None


class Subject(Protocol):
    """One command, as the registrar deals with it."""

    @property
    def stream(self) -> str:
        """The stream of the resource that the command names."""

    @property
    def prefix(self) -> str | None:
        """What the ids of the streams begin with that are to be looked for in the log; None: none are."""

    @property
    def moment(self) -> str | None:
        """The moment in the past whose states the decision compares with, as it was named."""

    def streams(self, held: Held, found: Sequence[str]) -> Sequence[str]:
        """The streams that are written and read, ``stream`` the first: as far as can be told by the states in memory.

        ``found``: those that were looked for. Once all are in memory and no more are named, the decision can be made.

        Raises:
            Invalid: ``bad_name``.
        """

    def entering(self, held: Held, then: Mapping[str, State]) -> Iterator[VersionState]:
        """The versions that may be served or enter a stage by it, as far as can be told before it is decided."""

    def decide(self, held: Mapping[str, State], given: Given) -> Sequence[StreamEvent]:
        """The events, in the order of the atomic set: at least one. Pure.

        Raises:
            RegistaError: the rules say no.
        """
