"""How much tables have grown since the planner last looked at them.

A plan that was made for an empty table reads all of it, and is kept. The server's own look comes once a minute, when a
rebuild has written millions of rows; so whoever writes has it look when a view has grown to ``_TIMES`` as many rows, and
plans are made anew.
"""

from __future__ import annotations

from regista.projections.views.base import View

_FIRST = 1_000
_TIMES = 4


class Growth:
    """Rows written by one connection, by view and generation."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int, int], int] = {}
        self._goals: dict[tuple[str, int, int], int] = {}

    def written(self, view: View, generation: int, rows: int) -> None:
        """Count rows."""
        key = view.name, view.version, generation
        self._rows[key] = self._rows.get(key, 0) + rows

    def is_due(self, view: View, generation: int) -> bool:
        """Whether it is time to look: at the first rows, and whenever there are so many times more."""
        key = view.name, view.version, generation
        rows = self._rows.get(key, 0)
        if rows < self._goals.get(key, _FIRST):
            return False
        self._goals[key] = _TIMES * rows
        return True
