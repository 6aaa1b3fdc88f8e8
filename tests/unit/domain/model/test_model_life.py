"""The model itself: a name taken for ever, described, retired and revived."""

from __future__ import annotations

import pytest
from tests.support.domain_book import Book, complete

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.errors import Invalid, NotFound, Refused, Retired


def test_a_name_is_taken_by_the_first_event() -> None:
    book = Book(registered=False)
    assert not book.state.exists
    event = book.do(c.RegisterModel("Fraud", "Fraud ✓", "Cards.", "team-risk", {"tier": "1"}))
    assert event == e.ModelRegistered("Fraud", "Fraud ✓", "Cards.", "team-risk", {"tier": "1"}, "default")
    assert book.state.exists
    assert book.state.name == "Fraud"


def test_a_name_is_taken_once_whatever_its_spelling() -> None:
    book = Book()
    for name in ("fraud", "FRAUD"):
        assert "fraud" in book.refused(Refused, "name_taken", c.RegisterModel(name)).detail


def test_a_retired_name_stays_taken_and_says_how_to_revive_it() -> None:
    book = Book()
    book.do(c.RetireModel("fraud"))
    error = book.refused(Refused, "name_taken", c.RegisterModel("fraud"))
    assert "regista revive fraud" in (error.hint or "")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\x00", "a" * 129])
def test_what_is_no_name_is_refused(name: str) -> None:
    Book(registered=False).refused(Invalid, "bad_name", c.RegisterModel(name))


def test_policies_of_ones_own_do_not_exist() -> None:
    Book(registered=False).refused(NotFound, "unknown_policy", c.RegisterModel("fraud", policy="strict"))
    Book().refused(NotFound, "unknown_policy", c.UpdateModel("fraud", policy="strict"))


@pytest.mark.parametrize("owner", ["", " ", "a b\n", " ada", "a" * 257])
def test_an_owner_is_an_identifier(owner: str) -> None:
    with_newline = "\n" in owner
    code = "invalid_text" if with_newline else "invalid_metadata"
    Book(registered=False).refused(Invalid, code, c.RegisterModel("fraud", owner=owner))


def test_an_update_says_what_was_set_what_was_removed_and_who_owned_it_before() -> None:
    book = Book(registered=False)
    book.do(c.RegisterModel("fraud", owner="ada"))
    event = book.do(c.UpdateModel("fraud", owner="grace", tags={"b": "2", "a": None}))
    assert event == e.ModelUpdated(
        "fraud", None, None, "grace", tags_set={"b": "2"}, tags_removed=("a",), previous_owner="ada"
    )
    again = book.do(c.UpdateModel("fraud", title="Fraud"))
    assert isinstance(again, e.ModelUpdated)
    assert (again.owner, again.previous_owner) == (None, None)
    assert book.state.owner == "grace"


def test_an_update_with_an_empty_text_clears() -> None:
    book = Book(registered=False)
    book.do(c.RegisterModel("fraud", owner="ada"))
    book.do(c.UpdateModel("fraud", owner=""))
    assert book.state.owner == ""


def test_an_update_that_names_nothing_is_refused() -> None:
    Book().refused(Invalid, "nothing_to_change", c.UpdateModel("fraud"))
    Book().refused(Invalid, "nothing_to_change", c.UpdateModel("fraud", tags={}))


def test_retiring_needs_a_reason() -> None:
    Book().refused(Invalid, "reason_required", c.RetireModel("fraud"), "")


def test_a_model_that_serves_is_retired_only_with_leave_empty() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    book.serve("1.0.0")
    book.serve("1.1.0", keep_existing=True)
    book.promote("1.2.0", "staging")
    error = book.refused(Refused, "still_serving", c.RetireModel("fraud"))
    assert len(error.reasons) == 2
    event = book.do(c.RetireModel("fraud", leave_empty=True))
    assert isinstance(event, e.ModelRetired)
    assert set(event.holders) == {
        e.Holder("production", "1.0.0", 1),
        e.Holder("production", "1.1.0", 2),
        e.Holder("staging", "1.2.0", 3),
    }


def test_a_model_with_nothing_in_production_is_retired_as_it_is() -> None:
    book = Book("1.0.0")
    book.promote("1.0.0", "staging")
    book.do(c.RetireModel("fraud"))
    assert book.state.retired


COMMANDS: list[c.Command] = [
    c.UpdateModel("fraud", title="x"),
    c.RetireModel("fraud"),
    complete(),
    c.UpdateVersion("fraud", "1", description="x"),
    c.RecordEvaluation("fraud", "1", {"auc": 1.0}),
    c.ReportCheck("fraud", "1", "bias", "passed"),
    c.Promote("fraud", "1", "staging"),
    c.RollBack("fraud"),
    c.Archive("fraud", "1"),
    c.AssignAlias("fraud", "champion", "1"),
    c.RemoveAlias("fraud", "champion"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_retired_model_takes_no_writes_and_says_how_to_revive_it(command: c.Command) -> None:
    book = Book("1.0.0")
    book.do(c.RetireModel("fraud"))
    assert "regista revive fraud" in (book.refused(Retired, "model_retired", command).hint or "")


@pytest.mark.parametrize("command", [*COMMANDS, c.ReviveModel("fraud")], ids=lambda command: type(command).__name__)
def test_a_model_that_was_never_registered_is_not_found(command: c.Command) -> None:
    Book(registered=False).refused(NotFound, "unknown_model", command)


def test_a_revived_model_goes_on_where_it_stood() -> None:
    book = Book("1.0.0")
    book.serve("1.0.0")
    book.do(c.AssignAlias("fraud", "champion", "1.0.0"))
    book.do(c.RetireModel("fraud", leave_empty=True))
    book.do(c.ReviveModel("fraud"))
    assert book.holders() == {"1.0.0"}
    assert book.state.aliases["champion"] == 1
    assert book.register().ordinal == 2


def test_what_is_not_retired_is_not_revived() -> None:
    Book().refused(Refused, "not_retired", c.ReviveModel("fraud"))
