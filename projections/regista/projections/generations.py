"""The generations of the views that a projector moves: made, moved on, put in each other's place, dropped.

The methods that write belong to the projector's one thread; what they leave in ``members`` may be read on the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from regista.projections.catalogue import Entry
from regista.projections.member import Member
from regista.projections.standings import Standings, ViewState
from regista.projections.storage import ViewsStorage
from regista.projections.views.base import View

__all__ = ["Generations", "ViewState"]


class Generations(Standings):
    """All generations of all views of one projector."""

    def __init__(self, database: ViewsStorage, views: Sequence[View]) -> None:
        super().__init__(views)
        self._database = database

    def load(self) -> None:
        """Take the members from the catalogue; a view that has no generation of its version gets one."""
        entries = self._database.entries()
        members: list[Member] = []
        for view in self.views.values():
            own = [e for e in entries if e.view == view.name and e.version == view.version]
            stuck = [Member(view, e) for e in own if not e.readable and e.error is not None]
            if stuck:
                self.drop(stuck)
            kept = [replace(e, state="live", error=None) if e.state == "degraded" else e for e in own]
            kept = [e for e in kept if e.error is None]
            members.extend(Member(view, e) for e in kept)
            if not kept:
                members.append(self._created(view, entries))
        self.members = members

    def add(self) -> None:
        """Begin one more generation of every view, beside what there is."""
        entries = self._database.entries()
        self.members += [self._created(view, entries) for view in self.views.values()]

    def set_aside(self, members: Sequence[Member], why: str) -> None:
        """Begin anew what is no fold of the log: what serves goes on, ``degraded``, until its successor takes over."""
        stopped = {
            m.entry.key: Member(m.view, replace(m.entry, state="degraded", error=why))
            for m in members
            if m.entry.readable
        }
        with self._database.transaction():
            for member in members:
                if member.entry.key in stopped:
                    self._database.advance(member.entry, stopped[member.entry.key].entry)
                else:
                    self._database.drop(member.view, member.entry)
        gone = {m.entry.key for m in members} - stopped.keys()
        self.members = [stopped.get(m.entry.key, m) for m in self.members if m.entry.key not in gone]
        being_built = {m.view.name for m in self.building()}
        entries = self._database.entries()
        self.members += [self._created(v, entries) for name, v in self.views.items() if name not in being_built]

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
