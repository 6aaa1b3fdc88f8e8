"""Finding versions by reference."""

from __future__ import annotations

import pytest
from tests.support.domain_book import Book, digest

from regista.domain import commands as c
from regista.domain.errors import NotFound, Refused
from regista.domain.model.lookup import LISTED, find_version


def test_a_version_is_found_by_number_ordinal_alias_stage_and_digest() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.1.0")
    book.do(c.AssignAlias("fraud", "champion", "1.1.0"))
    found = find_version(book.state, "1.1.0")
    manifest, file = found.digest, digest("file bytes 2")
    for ref in ("v1.1.0", "2", "@champion", "@Champion", "@production", "stage:production", manifest, file):
        assert find_version(book.state, ref) == found


def test_nobody_is_found_where_nobody_is() -> None:
    book = Book("1.0.0")
    for ref in ("2.0.0", "2", "@champion", "@staging", "stage:canary", digest("none")):
        with pytest.raises(NotFound) as caught:
            find_version(book.state, ref)
        assert caught.value.code == "unknown_version"
        assert caught.value.hint


def test_a_stage_names_the_holder_promoted_last() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.1.0")
    book.serve("1.0.0", keep_existing=True)
    assert find_version(book.state, "@production").ordinal == 1


def test_candidate_and_archived_name_the_version_that_came_in_last() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    assert find_version(book.state, "@candidate").ordinal == 3
    book.archive("1.2.0")
    assert find_version(book.state, "@candidate").ordinal == 2
    book.archive("1.0.0")
    assert find_version(book.state, "@archived").ordinal == 1
    book.promote("1.2.0", "candidate")
    assert find_version(book.state, "@candidate").ordinal == 3


def test_a_digest_that_several_versions_share_is_refused_with_the_list() -> None:
    book = Book()
    for _ in range(3):
        book.register(shared="tokenizer")
    with pytest.raises(Refused) as caught:
        find_version(book.state, digest("file tokenizer"))
    assert caught.value.code == "ambiguous_reference"
    assert [reason.detail.split()[1] for reason in caught.value.reasons] == ["1.2.0", "1.1.0", "1.0.0"]


def test_the_same_bytes_registered_twice_are_shared_too() -> None:
    book = Book()
    for _ in range(2):
        book.register(content="same")
    with pytest.raises(Refused):
        find_version(book.state, digest("same"))


def test_a_long_list_of_sharing_versions_is_cut() -> None:
    book = Book()
    for _ in range(LISTED + 5):
        book.register(shared="tokenizer")
    with pytest.raises(Refused) as caught:
        find_version(book.state, digest("file tokenizer"))
    assert len(caught.value.reasons) == LISTED
    assert "and more" in caught.value.detail


def test_of_versions_archived_by_one_event_the_one_registered_first_is_named_as_the_views_do() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    book.serve("1.1.0")
    book.serve("1.0.0", keep_existing=True)
    book.serve("1.2.0")
    assert find_version(book.state, "@archived").ordinal == 1


def test_the_newest_candidate_is_the_newest_of_those_still_there() -> None:
    book = Book(*(f"1.{number}.0" for number in range(6)))
    for ref in ("3", "5", "6"):
        book.promote(ref, "staging", keep_existing=True)
    assert find_version(book.state, "@candidate").ordinal == 4
    for ref in ("4", "2", "1"):
        book.archive(ref)
    with pytest.raises(NotFound):
        find_version(book.state, "@candidate")
    assert find_version(book.state, "@archived").ordinal == 1
    book.promote("2", "candidate")
    assert find_version(book.state, "@candidate").ordinal == 2
