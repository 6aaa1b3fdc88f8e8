"""Rows of figures: what was measured, the goal, and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure. ``goal`` is a comparison, as in ``>= 3000``; empty where there is none."""

    what: str
    value: float
    unit: str = ""
    goal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal was met; None where there is none."""
        if not self.goal:
            return None
        comparison, _, bound = self.goal.partition(" ")
        return self.value >= float(bound) if comparison == ">=" else self.value < float(bound)


def show(title: str, rows: list[Row]) -> None:
    """Print the rows as a table."""
    table = Table("what", "figure", "goal", "met", title=title, title_justify="left")
    for row in rows:
        digits = 0 if row.value >= 1000 else 1 if row.value >= 10 else 2
        met = {None: "", True: "yes", False: "NO"}[row.met]
        table.add_row(row.what, f"{row.value:,.{digits}f} {row.unit}", row.goal, met)
    Console(width=120).print(table)
