"""Promotion and archiving: stages in order, one holder, nothing by accident."""

from __future__ import annotations

import pytest
from tests.support.domain_book import Book, codes, complete

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused, Retired
from regista.domain.events import Origin
from regista.domain.model.lookup import find_version


def promotion(ref: str, to: str, **how: object) -> c.Promote:
    return c.Promote("fraud", ref, to, **how)  # type: ignore[arg-type]  # the fields of Promote


def test_a_version_enters_the_first_stage() -> None:
    assert Book().register().stage == "candidate"


def test_a_version_goes_from_stage_to_stage() -> None:
    book = Book("1.0.0")
    first = book.promote("1.0.0", "staging")
    assert (first.from_stage, first.to_stage, first.previous_version, first.displaced) == (
        "candidate",
        "staging",
        None,
        (),
    )
    book.promote("@staging", "@Production")
    assert book.stage_of("1.0.0") == "production"
    assert book.holders("staging") == set()


def test_the_event_carries_the_digest_of_the_bytes() -> None:
    book = Book()
    registered = book.register()
    assert book.promote("1", "staging").artifact_digest == registered.artifact.digest


def test_no_stage_is_skipped_and_the_refusal_names_the_one_between() -> None:
    error = Book("1.0.0").refused(Refused, "stage_skipped", promotion("1.0.0", "production"))
    assert "staging" in (error.hint or "")


def test_no_version_goes_back_by_promotion() -> None:
    book = Book("1.0.0")
    book.serve("1.0.0")
    book.refused(Refused, "stage_backwards", promotion("1.0.0", "staging"))
    book.refused(Refused, "stage_backwards", promotion("1.0.0", "candidate"))


def test_a_version_is_not_promoted_to_where_it_is() -> None:
    book = Book("1.0.0")
    book.refused(Refused, "already_in_stage", promotion("1.0.0", "candidate"))
    book.promote("1.0.0", "staging")
    book.refused(Refused, "already_in_stage", promotion("1.0.0", "staging"))


def test_archiving_is_a_command_of_its_own() -> None:
    error = Book("1.0.0").refused(Refused, "use_archive", promotion("1.0.0", "archived"))
    assert "regista archive fraud 1.0.0" in (error.hint or "")


def test_an_unknown_stage_is_refused_with_the_list_of_stages() -> None:
    error = Book("1.0.0").refused(Invalid, "unknown_stage", promotion("1.0.0", "prod"))
    assert "candidate, staging, production, archived" in (error.hint or "")


def test_a_promotion_needs_a_reason() -> None:
    for reason in (None, "", "  \n"):
        Book("1.0.0").refused(Invalid, "reason_required", promotion("1.0.0", "staging"), reason)


def test_an_unknown_version_is_not_found() -> None:
    error = Book("1.0.0").refused(NotFound, "unknown_version", promotion("2.0.0", "staging"))
    assert "1.0.0" in error.detail


def test_the_incumbent_goes_to_the_archive_in_the_same_event() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0", "1.1.0")
    event = book.events[-1]
    assert isinstance(event, e.VersionPromoted)
    assert event.previous_version == "1.0.0"
    assert event.displaced == (e.Displaced("1.0.0", 1, "archived"),)
    assert not event.keep_existing
    assert book.stage_of("1.0.0") == "archived"
    assert book.holders() == {"1.1.0"}


def test_every_stage_but_the_first_and_last_has_one_holder() -> None:
    book = Book("1.0.0", "1.1.0")
    book.promote("1.0.0", "staging")
    event = book.promote("1.1.0", "staging")
    assert event.displaced == (e.Displaced("1.0.0", 1, "archived"),)


def test_with_keep_existing_the_incumbent_stays_and_the_newest_is_the_one_referred_to() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0")
    book.serve("1.1.0", keep_existing=True)
    event = book.events[-1]
    assert isinstance(event, e.VersionPromoted)
    assert (event.previous_version, event.displaced, event.keep_existing) == ("1.0.0", (), True)
    assert book.holders() == {"1.0.0", "1.1.0"}
    assert book.current() == "1.1.0"


def test_all_holders_are_displaced_together() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    book.serve("1.0.0")
    book.serve("1.1.0", keep_existing=True)
    book.serve("1.2.0")
    event = book.events[-1]
    assert isinstance(event, e.VersionPromoted)
    assert {d.version for d in event.displaced} == {"1.0.0", "1.1.0"}
    assert event.previous_version == "1.1.0"
    assert book.holders() == {"1.2.0"}


def test_a_failed_check_blocks_until_it_passes_and_the_others_do_not_block() -> None:
    book = Book("1.0.0")
    for name, status in (("bias", "failed"), ("latency", "running"), ("drift", "unknown"), ("size", "passed")):
        book.do(c.ReportCheck("fraud", "1.0.0", name, status))  # type: ignore[arg-type]  # a status
    error = book.refused(Refused, "check_failed", promotion("1.0.0", "staging"))
    assert "bias" in error.detail
    book.do(c.ReportCheck("fraud", "1.0.0", "bias", "passed"))
    book.promote("1.0.0", "staging")


def test_a_check_that_fails_later_blocks_the_next_stage() -> None:
    book = Book("1.0.0")
    book.do(c.ReportCheck("fraud", "1.0.0", "bias", "passed"))
    book.promote("1.0.0", "staging")
    event = book.do(c.ReportCheck("fraud", "1.0.0", "bias", "failed"))
    assert isinstance(event, e.CheckReported)
    assert event.previous_status == "passed"
    book.refused(Refused, "check_failed", promotion("1.0.0", "production"))


def test_a_missing_artifact_blocks() -> None:
    book = Book("1.0.0")
    book.lose("1.0.0")
    book.refused(Refused, "artifact_missing", promotion("1.0.0", "staging"))


def test_a_refusal_lists_every_reason() -> None:
    book = Book()
    book.do(complete(version="1.0.0", author=None, origin=Origin("mlflow", "7")))
    for name in ("bias", "latency"):
        book.do(c.ReportCheck("fraud", "1", name, "failed"))
    error = book.refused(Refused, "promotion_refused", promotion("1", "production"))
    assert codes(error.reasons) == {"stage_skipped", "check_failed", "incomplete"}
    assert [r.detail for r in error.reasons if r.code == "check_failed"] == [
        "check bias failed",
        "check latency failed",
    ]
    assert all(reason.hint for reason in error.reasons)


def test_an_archived_version_becomes_a_candidate_again_and_goes_all_the_way() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0", "1.1.0")
    for stage in ("staging", "production"):
        error = book.refused(Refused, "stage_skipped", promotion("1.0.0", stage))
        assert "candidate" in (error.hint or "")
    event = book.promote("1.0.0", "candidate")
    assert (event.from_stage, event.displaced, event.previous_version) == ("archived", (), None)
    book.serve("1.0.0")
    assert book.holders() == {"1.0.0"}


def test_candidates_do_not_displace_each_other() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    for ref in ("1.0.0", "1.1.0"):
        book.archive(ref)
    for ref in ("1.0.0", "1.1.0"):
        assert book.promote(ref, "candidate").displaced == ()
    assert [book.stage_of(ref) for ref in ("1.0.0", "1.1.0", "1.2.0")] == ["candidate"] * 3
    assert not book.archive("1.1.0").leaves_empty


def test_a_failed_check_keeps_an_archived_version_out() -> None:
    book = Book("1.0.0")
    book.archive("1.0.0")
    book.do(c.ReportCheck("fraud", "1.0.0", "bias", "failed"))
    book.refused(Refused, "check_failed", promotion("1.0.0", "candidate"))


EXPECTATIONS = [(None, False), ("1.0.0", True), ("v1.0.0", True), ("1", True), ("@production", True), ("1.1.0", False)]


@pytest.mark.parametrize(("expected", "holds"), [*EXPECTATIONS, ("9.9.9", False), ("@nobody", False)])
def test_expect_current_names_the_version_that_must_hold_the_stage_now(expected: str | None, *, holds: bool) -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0")
    book.promote("1.1.0", "staging")
    command = promotion("1.1.0", "production", expect_current=expected)
    if holds:
        book.do(command)
    else:
        error = book.refused(PreconditionFailed, "expectation_failed", command)
        assert "1.0.0" in error.detail


@pytest.mark.parametrize(("expected", "holds"), [(None, True), ("1.0.0", False), ("9.9.9", False)])
def test_expect_current_null_means_nobody(expected: str | None, *, holds: bool) -> None:
    command = promotion("1.0.0", "staging", expect_current=expected)
    if holds:
        Book("1.0.0").do(command)
    else:
        error = Book("1.0.0").refused(PreconditionFailed, "expectation_failed", command)
        assert "nobody" in error.detail


def test_an_expectation_that_is_no_reference_is_invalid_even_where_nobody_holds_the_stage() -> None:
    command = promotion("1.0.0", "staging", expect_current="some\nthing")
    Book("1.0.0").refused(Invalid, "bad_reference", command)


def test_a_version_is_archived_from_any_stage() -> None:
    book = Book("1.0.0", "1.1.0")
    assert book.archive("1.0.0").from_stage == "candidate"
    book.promote("1.1.0", "staging")
    event = book.archive("1.1.0")
    assert (event.from_stage, event.leaves_empty) == ("staging", True)
    assert book.holders("staging") == set()


def test_an_archived_version_is_not_archived_again() -> None:
    book = Book("1.0.0")
    book.archive("1.0.0")
    book.refused(Refused, "already_archived", c.Archive("fraud", "1.0.0"))


def test_archiving_needs_a_reason() -> None:
    Book("1.0.0").refused(Invalid, "reason_required", c.Archive("fraud", "1.0.0"), None)


def test_archiving_the_only_holder_of_production_needs_leave_empty() -> None:
    book = Book("1.0.0")
    book.serve("1.0.0")
    book.refused(Refused, "leaves_empty", c.Archive("fraud", "1.0.0"))
    event = book.archive("1.0.0", leave_empty=True)
    assert event.leaves_empty
    assert book.current() is None


def test_archiving_one_of_two_holders_needs_nothing() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0")
    book.serve("1.1.0", keep_existing=True)
    assert not book.archive("1.1.0").leaves_empty
    assert book.current() == "1.0.0"
    book.refused(Refused, "leaves_empty", c.Archive("fraud", "1.0.0"))


def test_nothing_happens_to_a_model_that_does_not_exist_or_is_retired() -> None:
    Book(registered=False).refused(NotFound, "unknown_model", promotion("1.0.0", "staging"))
    book = Book("1.0.0")
    book.do(c.RetireModel("fraud"))
    book.refused(Retired, "model_retired", promotion("1.0.0", "staging"))
    book.refused(Retired, "model_retired", c.Archive("fraud", "1.0.0"))


def test_expect_current_of_the_entry_stage_is_the_version_that_a_reference_to_it_names() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    book.archive("1.0.0")
    for expected in (None, "1.1.0"):
        book.refused(PreconditionFailed, "expectation_failed", promotion("1.0.0", "candidate", expect_current=expected))
    book.promote("1.0.0", "candidate", expect_current="1.2.0")
    assert find_version(book.state, "@candidate").ordinal == 1
