"""How the views stand: their generations, how far each has come, and which one queries are answered from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regista.domain.chain import Head
from regista.domain.errors import NotFound, Refused
from regista.projections.catalogue import Entry
from regista.projections.decoding import Progress
from regista.projections.member import Member, stands_before
from regista.projections.views.base import View


@dataclass(frozen=True, slots=True)
class ViewState:
    """How one view stands: ``live``, ``degraded`` (it serves, but stands still) or ``rebuilding`` (none serves yet).

    ``stands_before`` is the position that it cannot apply.
    """

    name: str
    version: int
    position: int
    state: str
    error: str | None
    stands_before: int | None = None


class Standings:
    """The generations of the views of one process. Belongs to one event loop."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = {view.name: view for view in views}
        self.members: list[Member] = []

    def follow(self, entries: Iterable[Entry]) -> None:
        """Take the members as another process wrote them. Other versions of a view are none of this process."""
        self.members = [
            Member(self.views[e.view], e)
            for e in entries
            if e.view in self.views and e.version == self.views[e.view].version
        ]

    def groups(self) -> list[list[Member]]:
        """Members that move, by progress: the leading group first, then the others, the furthest first."""
        by_progress: dict[Progress, list[Member]] = {}
        for member in self.members:
            if member.entry.error is None:
                by_progress.setdefault(member.entry.progress, []).append(member)
        return sorted(by_progress.values(), key=_rank, reverse=True)

    def lead(self) -> list[Member]:
        """The group that holds the live views; empty when nothing moves."""
        groups = self.groups()
        return groups[0] if groups else []

    def head(self) -> Head:
        """How far the live views are."""
        lead = self.lead()
        return lead[0].entry.progress.head if lead else Head()

    def building(self) -> list[Member]:
        """Those that do not serve yet."""
        return [m for m in self.members if not m.entry.readable]

    def is_rebuilding(self) -> bool:
        """Whether a view is built beside one that serves."""
        serving = {m.view.name for m in self.members if m.entry.readable}
        return any(m.view.name in serving for m in self.building())

    def is_ready(self, member: Member, *, caught_up: bool) -> bool:
        """Whether a built generation may serve: it has come as far as the live ones, or as far as it can.

        Where nothing serves yet, or what serves is no fold of the log, that is the end of the log; and a view that
        stands still serves what it has, unless another serves that goes on.
        """
        lead = self.lead()
        if member.entry.error is not None:
            serving = self.readable(member.view.name)
            return serving is None or serving.error is not None
        if not lead or member.entry.progress != lead[0].entry.progress:
            return False
        return caught_up or any(m.entry.readable for m in lead)

    def readable(self, name: str) -> Entry | None:
        """The generation of a view that queries are answered from."""
        return next((m.entry for m in self.members if m.view.name == name and m.entry.readable), None)

    def have_reached(self, position: int, names: frozenset[str]) -> bool:
        """Whether queries of these views are answered for a position."""
        entries = [self.readable(name) for name in names]
        return all(entry is not None and entry.position >= position for entry in entries)

    def states(self) -> tuple[ViewState, ...]:
        """How every view stands."""
        return tuple(self._state(view) for view in self.views.values())

    def _state(self, view: View) -> ViewState:
        entry = self.readable(view.name)
        behind = [m.entry for m in self.members if m.view.name == view.name]
        shown = entry or (behind[0] if behind else Entry(view.name, view.version, 0, "building"))
        state = "rebuilding" if entry is None else entry.state
        stop = stands_before(shown.error) if shown.error is not None else None
        return ViewState(view.name, shown.version, shown.position, state, shown.error, stop)

    def to_skip(self, position: int, view: str | None) -> list[str]:
        """The views that are to pass over a position: the one named, or all that stand still before this very one.

        Raises:
            NotFound: ``unknown_view``.
            Refused: ``nothing_to_skip``: none is named, and none stands still there.
        """
        if view is not None and view not in self.views:
            raise NotFound(
                f"there is no view {view}", code="unknown_view", hint=f"There is {', '.join(sorted(self.views))}."
            )
        if view is not None:
            return [view]
        standing = {m.view.name: stands_before(m.entry.error) for m in self.members if m.entry.error is not None}
        if position not in standing.values():
            where = ", ".join(f"{name} before position {at}" for name, at in sorted(standing.items()))
            raise Refused(
                f"no view stands still before position {position}",
                code="nothing_to_skip",
                hint=f"There is {where}." if where else "Name the view, to have a rebuild pass over the position.",
            )
        return sorted(name for name, at in standing.items() if at == position)


def _rank(group: Sequence[Member]) -> tuple[bool, int]:
    return any(m.entry.readable for m in group), group[0].entry.position
