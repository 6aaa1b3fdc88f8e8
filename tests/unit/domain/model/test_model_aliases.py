"""Aliases: names that move from version to version."""

from __future__ import annotations

import pytest
from tests.support.domain_book import Book

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.errors import Invalid, NotFound, PreconditionFailed
from regista.domain.model.lookup import find_version


def assign(alias: str, ref: str, **how: object) -> c.AssignAlias:
    return c.AssignAlias("fraud", alias, ref, **how)  # type: ignore[arg-type]  # the fields of AssignAlias


def test_an_alias_points_at_a_version_and_says_where_it_pointed_before() -> None:
    book = Book("1.0.0", "1.1.0")
    first = book.do(assign("champion", "1.0.0"))
    assert isinstance(first, e.AliasAssigned)
    assert (first.alias, first.version, first.ordinal, first.previous_version) == ("champion", "1.0.0", 1, None)
    assert first.artifact_digest == find_version(book.state, "1").digest
    second = book.do(assign("champion", "1.1.0"))
    assert isinstance(second, e.AliasAssigned)
    assert second.previous_version == "1.0.0"
    assert find_version(book.state, "@champion").ordinal == 2


def test_a_version_knows_its_aliases() -> None:
    book = Book("1.0.0", "1.1.0")
    for alias in ("champion", "eu"):
        book.do(assign(alias, "1.0.0"))
    assert find_version(book.state, "1").aliases == {"champion", "eu"}
    book.do(assign("eu", "1.1.0"))
    assert find_version(book.state, "1").aliases == {"champion"}
    assert find_version(book.state, "2").aliases == {"eu"}


def test_aliases_are_the_same_in_any_case() -> None:
    book = Book("1.0.0", "1.1.0")
    book.do(assign("Champion", "1.0.0"))
    event = book.do(assign("CHAMPION", "1.1.0"))
    assert isinstance(event, e.AliasAssigned)
    assert (event.alias, event.previous_version) == ("champion", "1.0.0")


def test_pointing_where_it_points_already_is_recorded_too() -> None:
    book = Book("1.0.0")
    book.do(assign("champion", "1.0.0"))
    event = book.do(assign("champion", "@champion"))
    assert isinstance(event, e.AliasAssigned)
    assert event.version == event.previous_version == "1.0.0"
    assert find_version(book.state, "1").aliases == {"champion"}


def test_an_alias_may_point_at_a_version_in_any_stage() -> None:
    book = Book("1.0.0")
    book.archive("1.0.0")
    book.do(assign("champion", "1.0.0"))


@pytest.mark.parametrize("alias", ["production", "Candidate", "latest", "1", "v2", "1.0.0"])
def test_an_alias_is_not_named_like_a_stage_or_latest_or_a_version(alias: str) -> None:
    book = Book("1.0.0")
    book.refused(Invalid, "bad_alias", assign(alias, "1.0.0"))
    book.refused(Invalid, "bad_alias", c.RemoveAlias("fraud", alias))


def test_an_alias_points_only_at_what_exists() -> None:
    Book().refused(NotFound, "unknown_version", assign("champion", "1.0.0"))
    Book("1.0.0").refused(NotFound, "unknown_version", assign("champion", "@challenger"))


def test_a_removed_alias_names_nothing_and_can_be_assigned_again() -> None:
    book = Book("1.0.0")
    book.do(assign("champion", "1.0.0"))
    event = book.do(c.RemoveAlias("fraud", "Champion"))
    assert event == e.AliasRemoved("fraud", "champion", "1.0.0", 1)
    assert find_version(book.state, "1").aliases == frozenset()
    book.refused(NotFound, "unknown_alias", c.RemoveAlias("fraud", "champion"))
    book.refused(NotFound, "unknown_version", assign("other", "@champion"))
    again = book.do(assign("champion", "1.0.0", expect_current=None))
    assert isinstance(again, e.AliasAssigned)
    assert again.previous_version is None


@pytest.mark.parametrize(("expected", "holds"), [("1.0.0", True), ("@eu", True), ("1.1.0", False), (None, False)])
def test_expect_current_names_where_it_must_point_now(expected: str | None, *, holds: bool) -> None:
    for command in (
        assign("eu", "1.1.0", expect_current=expected),
        c.RemoveAlias("fraud", "eu", expect_current=expected),
    ):
        book = Book("1.0.0", "1.1.0")
        book.do(assign("eu", "1.0.0"))
        if holds:
            book.do(command)
        else:
            assert "1.0.0" in book.refused(PreconditionFailed, "expectation_failed", command).detail


def test_expect_current_null_means_that_it_points_nowhere() -> None:
    book = Book("1.0.0")
    book.refused(PreconditionFailed, "expectation_failed", assign("eu", "1.0.0", expect_current="1.0.0"))
    book.do(assign("eu", "1.0.0", expect_current=None))


def test_the_sequence_that_touched_an_alias_is_known() -> None:
    book = Book("1.0.0")
    book.do(assign("eu", "1.0.0"))
    assert book.state.alias_touched["eu"] == 3
    book.do(c.RemoveAlias("fraud", "eu"))
    assert book.state.alias_touched["eu"] == 4
