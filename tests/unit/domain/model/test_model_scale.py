"""What many versions cost: a decision looks at a few of them, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.domain_book import Book, artifact, complete, signature

from regista.domain.model import Context, KnownArtifact, ModelState, decide, fold
from regista.domain.model.lookup import find_version
from regista.domain.persistent import PersistentMap

VERSIONS = 2_000


class Counted(PersistentMap[Any, Any]):
    """A map that counts how often it is asked, and is never read as a whole."""

    def __init__(self, entries: dict[Any, Any]) -> None:
        super().__init__(entries)
        self.looks = 0

    def __getitem__(self, key: object) -> Any:
        self.looks += 1
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.looks += 1
        return super().__contains__(key)

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("all versions were looked at")

    def to_dict(self) -> dict[Any, Any]:
        raise AssertionError("all versions were looked at")


@pytest.fixture(scope="module")
def many() -> ModelState:
    book = Book()
    for _ in range(VERSIONS):
        book.register(signature=signature())
    return fold(book.events)


def registered(state: ModelState, version: str, base: str | None) -> str:
    command = complete(version=version, base=base, signature=signature())
    [event] = decide(state, command, Context("because", artifact=KnownArtifact(artifact("new"))))
    return str(getattr(event, "version"))  # noqa: B009 - of an event of any type


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (lambda state: registered(state, "auto", None), "1.2000.0"),
        (lambda state: registered(state, "auto", "1.0.0"), "1.2000.0"),
        (lambda state: registered(state, "1.700.5", None), "1.700.5"),
        (lambda state: str(find_version(state, "@candidate").number), "1.1999.0"),
    ],
)
def test_a_decision_looks_at_a_few_versions(many: ModelState, look: Callable[[ModelState], str], found: str) -> None:
    versions, numbers = Counted(many.versions.to_dict()), Counted(many.numbers.to_dict())
    assert look(replace(many, versions=versions, numbers=numbers)) == found
    assert versions.looks + numbers.looks < 20
