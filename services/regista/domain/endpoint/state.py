"""What the rules need to know of an endpoint, and no more: no measurements, of reports the newest per target alone.

The history is bounded: a rollback can return to the last ``KEPT`` changes, so that an endpoint whose traffic moves
every few minutes for years costs no more memory than one that is new.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from regista.domain.events import Canary, DeploymentState, Guardrail, Variant, Verdict

KEPT = 1_000
"""How many changes an endpoint remembers."""
_sequence = attrgetter("sequence")


@dataclass(frozen=True, slots=True)
class Change:
    """A change, by its sequence. ``origin`` is that of the ``TrafficChanged`` whose set it is.

    ``before`` is the change that a rollback from here looks at first. ``halfway``: the set is a step of a canary's
    schedule, and no rollback returns to it unless it is named.
    """

    sequence: int
    origin: int
    variants: tuple[Variant, ...]
    before: int | None
    halfway: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The newest thing that a target told: of which change, and what became of it."""

    change: int
    state: DeploymentState


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint as its rules see it. ``sequence`` is that of the last event folded; 0: it does not exist.

    ``history`` are the changes remembered, the newest last; changes up to ``forgotten`` were there, and are not
    remembered. ``rolled_back`` are the origins that a rollback took out. ``ever_targets`` are the targets it has or
    had, in lower case, as are the keys of ``reports``. ``concluded`` is the newest verdict on the present change.
    """

    sequence: int = 0
    environment: str = ""
    name: str = ""
    model: str = ""
    targets: tuple[str, ...] = ()
    follow: str | None = None
    automatic: bool = False
    guardrails: tuple[Guardrail, ...] = ()
    description: str = ""
    retired_at: int | None = None
    history: tuple[Change, ...] = ()
    forgotten: int = 0
    rolled_back: frozenset[int] = frozenset()
    canary: Canary | None = None
    concluded: Verdict | None = None
    ever_targets: frozenset[str] = frozenset()
    reports: Mapping[str, Report] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the name was ever taken."""
        return self.sequence > 0

    @property
    def retired(self) -> bool:
        """Whether it takes no more writes."""
        return self.retired_at is not None

    @property
    def present(self) -> Change | None:
        """The change that says what is to be served; None where nothing is."""
        return self.history[-1] if self.history and not self.retired else None

    @property
    def change(self) -> int | None:
        """The sequence of the present change."""
        return None if self.present is None else self.present.sequence

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What is to be served."""
        return () if self.present is None else self.present.variants

    def find(self, sequence: int) -> Change | None:
        """The change of a sequence, where it is remembered."""
        at = bisect_left(self.history, sequence, key=_sequence)
        found = self.history[at] if at < len(self.history) else None
        return found if found is not None and found.sequence == sequence else None

    def was_change(self, sequence: int) -> bool:
        """Whether an event said what was to be served; of those forgotten it is taken for granted."""
        return 0 < sequence <= self.forgotten or sequence == self.retired_at or self.find(sequence) is not None


def rollback_targets(state: EndpointState) -> Iterator[Change]:
    """The changes that a rollback would return to, the first of them first.

    Passed over are those rolled back from, steps of canaries, and sets that are served now.
    """
    change = present = state.present
    while change is not None and change.before is not None:
        change = state.find(change.before)
        if change is None or present is None:
            return
        if not (change.origin in state.rolled_back or change.halfway or change.variants == present.variants):
            yield change


EMPTY = EndpointState()
"""An endpoint of which nothing has happened yet."""
