"""One route of the query API, as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regista.projections.api import parameters as p
from regista.projections.api.queries import Read

LIST = (p.LIMIT, p.PAGE)
"""What every list takes."""


@dataclass(frozen=True, slots=True)
class Route:
    """One read: where, what, with which parameters, and whether it may run on the event loop."""

    path: str
    name: str
    summary: str
    read: Read
    model: Any
    parameters: tuple[p.Parameter, ...] = ()
    quick: bool = False
    media: Mapping[str, Any] | None = None
