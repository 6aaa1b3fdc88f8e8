"""What a process that answers queries knows of the projection: its own, or the one of another process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from regista.domain.chain import Head
from regista.projections.rebuild import Comparison
from regista.projections.skips import Skip
from regista.projections.standings import ViewState


@dataclass(frozen=True, slots=True)
class ProjectorState:
    """How the projector stands. ``error`` says why nothing moves at all, where that is so, ``hint`` what to do about it.

    ``skips``: what the views of any log were told to pass over.
    """

    head: Head
    views: tuple[ViewState, ...]
    rebuilding: bool
    error: str | None
    skips: tuple[Skip, ...]
    hint: str | None = None


class Projection(Protocol):
    """The projection as those see it who answer queries: ``Projector`` runs one, ``ViewsFollower`` follows one."""

    async def run(self) -> None:
        """Work until ``close``. What goes wrong is in ``status`` and tried again."""
        ...

    async def close(self) -> None:
        """End ``run``, and the threads. The database stays open."""
        ...

    async def wait_for(self, position: int, timeout: float, views: Sequence[str] | None = None) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """Wait until the views (all, by default) answer for ``position``. False when that took too long."""
        ...

    def status(self) -> ProjectorState:
        """How everything stands now."""
        ...

    async def skip(self, position: int, reason: str, view: str | None = None, *, actor: str) -> tuple[Skip, ...]:
        """Record that a view passes over the event at ``position``, and let degraded ones go on.

        Without a name: all that stand still before this very position. By name also ahead, for what a rebuild met.

        Raises:
            NotFound: ``unknown_view``.
            Refused: ``nothing_to_skip``.
            Unavailable: ``skip_not_recorded``, ``no_projector``.
        """
        ...

    async def rebuild(self, progress: Callable[[int, int], None] | None = None) -> list[Comparison]:
        """Build every view anew from the first event, beside the live ones, and put it in their place.

        Returns how the digests of old and new compare. ``progress`` is told the position reached and the goal.

        Raises:
            Refused: ``rebuild_under_way``.
            Unavailable: ``no_projector``: none runs, or it ended; whoever takes over completes what it built.
            Damaged: ``rebuild_failed``: the new tables cannot apply an event; the live ones stay.
        """
        ...

    async def digests(self) -> dict[str, str]:
        """The digest of every readable view, all at one moment."""
        ...
