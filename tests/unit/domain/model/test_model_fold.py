"""``evolve``, ``fold`` and snapshots: three ways to the same state."""

from __future__ import annotations

import json

import pytest
from tests.support.domain_book import Book, plain, signature

from regista.domain import commands as c
from regista.domain.events import LogCreated, Origin
from regista.domain.model import EMPTY, evolve, fold
from regista.domain.model.snapshot import from_plain, to_plain


def eventful() -> Book:
    """A history in which every event of the model stream happens."""
    book = Book()
    book.do(c.UpdateModel("fraud", owner="ada"))
    book.register("1.0.0", signature=signature(), shared="tokenizer")
    book.register("1.1.0", signature=signature(), shared="tokenizer", weights="w")
    book.register("2.0.0-rc.1", signature=signature("x z"))
    book.do(c.RegisterVersion("fraud", "2.0.0", ordinal=9, origin=Origin("mlflow", "1")))
    book.do(c.UpdateVersion("fraud", "2.0.0", author="ada", waive=("code", "artifact")))
    book.do(c.RecordEvaluation("fraud", "1", {"auc": 0.9}))
    book.do(c.ReportCheck("fraud", "1", "bias", "passed"))
    book.serve("1.0.0", "1.1.0")
    book.promote("3", "staging")
    book.do(c.AssignAlias("fraud", "champion", "1.1.0"))
    book.do(c.AssignAlias("fraud", "champion", "1.0.0"))
    book.do(c.AssignAlias("fraud", "eu", "1.0.0"))
    book.do(c.RemoveAlias("fraud", "eu"))
    book.roll_back()
    book.promote("1.1.0", "candidate")
    book.archive("1.1.0")
    book.serve("3", keep_existing=True)
    book.do(c.RetireModel("fraud", leave_empty=True))
    book.do(c.ReviveModel("fraud"))
    return book


def test_every_event_of_the_stream_is_in_this_history() -> None:
    assert len({type(event) for event in eventful().events}) == 13


def test_fold_is_evolve_one_by_one_over_any_split() -> None:
    book = eventful()
    for at in range(len(book.events) + 1):
        start = EMPTY
        for event in book.events[:at]:
            start = evolve(start, event)
        before = plain(start)
        assert plain(fold(book.events[at:], start)) == plain(book.state)
        assert plain(fold(book.events[at:], fold(book.events[:at]))) == plain(book.state)
        assert plain(start) == before


def test_a_state_is_never_changed_by_what_follows_it() -> None:
    book = eventful()
    states, state = [EMPTY], EMPTY
    for event in book.events:
        state = evolve(state, event)
        states.append(state)
    for at, then in enumerate(states):
        assert plain(then) == plain(fold(book.events[:at]))


def test_the_sequence_counts_every_event() -> None:
    book = eventful()
    assert book.state.sequence == len(book.events)
    assert fold([]).sequence == 0


def test_an_event_of_another_kind_of_stream_has_no_place_here() -> None:
    with pytest.raises(KeyError):
        evolve(EMPTY, LogCreated("log", "regista"))


def test_a_snapshot_read_back_from_json_is_the_same_state_and_goes_on_the_same() -> None:
    book = eventful()
    for at in range(1, len(book.events) + 1):
        state = fold(book.events[:at])
        again = from_plain(json.loads(json.dumps(to_plain(state))))
        assert again is not None
        assert plain(again) == plain(state)
        assert plain(fold(book.events[at:], again)) == plain(book.state)


def test_a_snapshot_of_another_format_is_not_read() -> None:
    assert from_plain({**to_plain(eventful().state), "format": 0}) is None


def test_versions_with_the_same_signature_share_it() -> None:
    book = Book()
    for number in range(5):
        book.register(f"1.{number}.0", signature=signature())
    state = fold(book.events)
    assert len({id(version.signature) for version in state.versions.to_dict().values()}) == 1
    assert len(to_plain(state)["signatures"]) == 1
