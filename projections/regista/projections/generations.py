"""Which generations of the views there are, how far each has come, and which takes whose place.

The methods that write belong to the projector's one thread; what they leave in ``members`` may be read on the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from regista.domain.errors import NotFound, Refused
from regista.projections.catalogue import Entry
from regista.projections.database import ViewsDatabase
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


class Generations:
    """All generations of all views of one projector."""

    def __init__(self, database: ViewsDatabase, views: Sequence[View]) -> None:
        self._database = database
        self.views = {view.name: view for view in views}
        self.members: list[Member] = []

    def load(self) -> None:
        """Take the members from the catalogue; a view that has no generation of its version gets one."""
        entries = self._database.entries()
        members: list[Member] = []
        for view in self.views.values():
            own = [e for e in entries if e.view == view.name and e.version == view.version]
            kept = [replace(e, state="live", error=None) if e.state == "degraded" else e for e in own]
            members.extend(Member(view, e) for e in kept)
            if not own:
                members.append(self._created(view, entries))
        self.members = members

    def add(self) -> None:
        """Begin one more generation of every view, beside what there is."""
        entries = self._database.entries()
        self.members += [self._created(view, entries) for view in self.views.values()]

    def _created(self, view: View, entries: Sequence[Entry]) -> Member:
        last = max((e.generation for e in entries if e.view == view.name), default=0)
        entry = Entry(view.name, view.version, last + 1, "building")
        self._database.create(view, entry)
        return Member(view, entry)

    def drop(self, members: Sequence[Member]) -> None:
        """Give up generations that never served."""
        with self._database.transaction():
            for member in members:
                self._database.drop(member.view, member.entry)
        gone = {m.entry.key for m in members}
        self.members = [m for m in self.members if m.entry.key not in gone]

    def flip(self, ready: Sequence[Member]) -> None:
        """Let generations serve in the place of those before them, all in one transaction."""
        new = {
            m.entry.view: Member(m.view, replace(m.entry, state="live" if m.entry.error is None else "degraded"))
            for m in ready
        }
        keep = {m.entry.key for m in ready}
        with self._database.transaction():
            for member in ready:
                self._database.advance(member.entry, new[member.view.name].entry)
                self._database.expose(member.view, member.entry)
            for entry in self._database.entries():
                if entry.view in new and entry.key not in keep:
                    self._database.drop(self.views[entry.view], entry)
        self.members = [m for m in self.members if m.view.name not in new] + list(new.values())

    def moved(self, members: Iterable[Member]) -> None:
        """Take over where members stand now."""
        new = {m.entry.key: m for m in members}
        self.members = [new.get(m.entry.key, m) for m in self.members]

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

    def building(self) -> list[Member]:
        """Those that do not serve yet."""
        return [m for m in self.members if not m.entry.readable]

    def is_ready(self, member: Member, *, caught_up: bool) -> bool:
        """Whether a built generation may serve: it has come as far as the live ones, or as far as it can.

        Where nothing serves yet, that is the end of the log; and a view that stands still serves what it has.
        """
        lead = self.lead()
        if member.entry.error is not None:
            return self.readable(member.view.name) is None
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
