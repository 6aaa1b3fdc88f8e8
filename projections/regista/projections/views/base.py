"""What a view is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import MetaData, Table
from sqlalchemy.sql import quoted_name

from regista.projections.changes import Change
from regista.projections.decoding import Item

F = TypeVar("F")


class Fold(Protocol):
    """A fold under way: takes events, and says in the end what all of them together change.

    Pure: equal items give equal changes, however they are divided, and it reads nothing. Items come in position order,
    each exactly once.
    """

    def add(self, items: Sequence[Item]) -> None:
        """Take the next items. What raises here cannot be applied."""
        ...

    def changes(self) -> list[Change]:
        """What the items change, in the order in which it is to be written. The end of the fold."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """A view: its tables, and the fold of events into changes of them.

    ``begin`` begins a fold over some events, whole atomic sets, behind those whose changes were carried out. ``kinds``
    are the kinds of streams whose events concern it, None for all: of others it need not be told.
    """

    name: str
    version: int
    tables: tuple[Table, ...]
    begin: Callable[[], Fold]
    kinds: frozenset[str] | None = None

    def fold(self, items: Sequence[Item]) -> list[Change]:
        """What these items change, and no others."""
        fold = self.begin()
        fold.add(items)
        return fold.changes()

    def public_name(self, table: str) -> str:
        """The name that queries use: it stands for the table of the live generation."""
        return f"{table}_v{self.version}"

    def physical_name(self, table: str, generation: int) -> str:
        """The name of the table of one generation."""
        return f"{table}_v{self.version}_g{generation}"

    def physical_tables(self, generation: int) -> MetaData:
        """The tables of one generation, with their indexes."""
        metadata = MetaData()
        for table in self.tables:
            copy = table.to_metadata(metadata, name=self.physical_name(table.name, generation))
            for index in copy.indexes:
                index.name = quoted_name(f"{copy.name}_{'_'.join(c.name for c in index.columns)}", quote=None)
        return metadata

    def names(self, generation: int) -> Mapping[str, str]:
        """The physical name by the table's name in statements."""
        return {table.name: self.physical_name(table.name, generation) for table in self.tables}


def dispatch(handlers: Mapping[str, Callable[[F, Item], None]], fold: F, items: Iterable[Item]) -> F:
    """Give each item to the handler of its type; types that a view does not mention do not concern it."""
    for item in items:
        handler = handlers.get(item.name)
        if handler is not None:
            handler(fold, item)
    return fold
