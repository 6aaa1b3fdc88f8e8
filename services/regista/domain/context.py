"""What a decision may look at beside the state of its own stream, and what many decisions ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from regista.domain.errors import Invalid
from regista.domain.events import SecretRef


class State(Protocol):
    """What the state of a stream of any kind has."""

    @property
    def sequence(self) -> int:
        """The sequence of the last event folded; 0: nothing has happened yet."""

    @property
    def name(self) -> str:
        """What it is called, as it was first spelled; empty where nothing has happened yet."""

    @property
    def exists(self) -> bool:
        """Whether there is such a thing."""


class Reasoned(Protocol):
    """What knows why a command was given."""

    @property
    def reason(self) -> str | None:
        """In the words of the actor."""


@dataclass(frozen=True, slots=True)
class Context:
    """``others``: the states of other streams that the decision reads, by stream, each checked in the append.

    One that is not among them is taken for one of which nothing has happened. ``missing_artifacts``: manifest digests
    whose bytes the artifact store no longer has. ``plain``: it was seen before that every text of command and reason
    can be printed; otherwise each is looked at. ``kept``: where the secrets lie that the command brings, by their names. ``now``: the time that the
    events will have.
    """

    reason: str | None = None
    others: Mapping[str, State] = field(default_factory=dict)
    missing_artifacts: frozenset[str] = frozenset()
    plain: bool = False
    kept: Mapping[str, SecretRef] = field(default_factory=dict)
    now: datetime | None = None


def need_reason(context: Reasoned, what: str) -> None:
    """Check that the command says why.

    Raises:
        Invalid: ``reason_required``.
    """
    if not (context.reason or "").strip():
        raise Invalid(f"{what} needs a reason", code="reason_required", hint="Say why: --reason, or the field reason.")
