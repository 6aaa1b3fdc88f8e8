"""Rollback: back to an earlier holder, whatever gates there are, and never back and forth between two bad versions."""

from __future__ import annotations

from tests.support.domain_book import Book

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused


def serving(*versions: str) -> Book:
    book = Book(*dict.fromkeys(versions))
    book.serve(*versions)
    return book


def rollback(**how: object) -> c.RollBack:
    return c.RollBack("fraud", **how)  # type: ignore[arg-type]  # the fields of RollBack


def test_a_rollback_returns_to_the_holder_before_the_present_one() -> None:
    book = serving("1.0.0", "1.1.0")
    event = book.roll_back()
    assert (event.version, event.stage, event.from_stage) == ("1.0.0", "production", "archived")
    assert event.previous_version == "1.1.0"
    assert event.displaced == (e.Displaced("1.1.0", 2, "archived"),)
    assert book.holders() == {"1.0.0"}
    assert book.stage_of("1.1.0") == "archived"


def test_each_further_rollback_steps_further_back() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    assert [book.roll_back().version for _ in range(3)] == ["1.2.0", "1.1.0", "1.0.0"]
    book.refused(Refused, "nothing_to_roll_back_to", rollback())


def test_versions_rolled_back_from_are_skipped() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0")
    book.roll_back()
    book.register("1.3.0")
    book.serve("1.3.0")
    assert book.roll_back().version == "1.1.0"
    assert book.roll_back().version == "1.0.0"


def test_two_versions_that_took_turns_are_not_rolled_back_to_and_fro() -> None:
    book = serving("1.0.0", "1.1.0", "1.0.0")
    assert book.roll_back().version == "1.1.0"
    error = book.refused(Refused, "nothing_to_roll_back_to", rollback())
    assert "regista rollback fraud --to 1.0.0" in (error.hint or "")


def test_a_version_that_was_rolled_back_from_counts_again_once_it_is_promoted_anew() -> None:
    book = serving("1.0.0", "1.1.0")
    book.roll_back()
    book.serve("1.1.0")
    book.register("1.2.0")
    book.serve("1.2.0")
    assert book.roll_back().version == "1.1.0"


def test_to_names_any_earlier_holder() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0")
    event = book.roll_back(to="1.0.0")
    assert (event.version, event.previous_version) == ("1.0.0", "1.2.0")
    assert book.holders() == {"1.0.0"}
    book.refused(Refused, "nothing_to_roll_back_to", rollback())


def test_to_may_name_a_version_that_was_rolled_back_from_and_takes_the_place_of_the_holder() -> None:
    book = serving("1.0.0", "1.1.0")
    book.roll_back()
    event = book.roll_back(to="1.1.0")
    assert event.displaced == (e.Displaced("1.0.0", 1, "archived"),)
    assert book.holders() == {"1.1.0"}
    book.refused(Refused, "nothing_to_roll_back_to", rollback())


def test_a_version_brought_back_by_name_counts_again() -> None:
    book = serving("1.0.0", "1.1.0")
    book.roll_back()
    book.roll_back(to="1.1.0")
    book.register("1.2.0")
    book.serve("1.2.0")
    assert book.roll_back().version == "1.1.0"


def test_going_to_and_fro_by_name_does_not_lengthen_the_history() -> None:
    book = serving("1.0.0", "1.1.0")
    for ref in ("1.0.0", "1.1.0") * 3:
        book.roll_back(to=ref)
    tenure, length = book.state.stage("production").tenures, 0
    while tenure is not None:
        tenure, length = tenure.below, length + 1
    assert length == 2


def test_versions_passed_over_by_to_are_not_returned_to_by_themselves() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0")
    book.roll_back(to="1.0.0")
    book.register("1.3.0")
    book.serve("1.3.0")
    assert book.roll_back().version == "1.0.0"


def test_a_rollback_needs_no_check_and_no_complete_metadata() -> None:
    book = serving("1.0.0", "1.1.0")
    book.do(c.ReportCheck("fraud", "1.0.0", "bias", "failed"))
    assert book.roll_back().version == "1.0.0"


def test_a_rollback_needs_a_reason() -> None:
    serving("1.0.0", "1.1.0").refused(Invalid, "reason_required", rollback(), None)


def test_a_version_that_never_held_the_stage_is_refused_with_those_that_did() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0")
    book.register("1.3.0")
    error = book.refused(Refused, "never_held", rollback(to="1.3.0"))
    assert "1.1.0, 1.0.0" in (error.hint or "")


def test_the_present_holder_is_no_target() -> None:
    serving("1.0.0", "1.1.0").refused(Refused, "already_in_stage", rollback(to="1.1.0"))


def test_the_first_holder_has_nothing_before_it() -> None:
    error = serving("1.0.0").refused(Refused, "nothing_to_roll_back_to", rollback())
    assert error.hint == "Promote another version."


def test_unknown_versions_and_stages_are_refused() -> None:
    book = serving("1.0.0", "1.1.0")
    book.refused(NotFound, "unknown_version", rollback(to="9.9.9"))
    book.refused(Invalid, "unknown_stage", rollback(stage="prod"))
    for stage in ("candidate", "archived"):
        error = book.refused(Refused, "stage_not_held", rollback(stage=stage))
        assert error.hint == "Name staging or production."


def test_any_held_stage_is_rolled_back_however_it_is_written() -> None:
    for stage in ("staging", "Staging", "@staging", "stage:staging"):
        book = Book("1.0.0", "1.1.0")
        book.promote("1.0.0", "staging")
        book.promote("1.1.0", "staging")
        event = book.roll_back(stage=stage)
        assert (event.version, event.stage) == ("1.0.0", "staging")
        assert book.holders("staging") == {"1.0.0"}


def test_rolling_back_staging_never_takes_a_version_out_of_production() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0")
    book.promote("1.1.0", "staging")
    book.refused(Refused, "nothing_to_roll_back_to", rollback(stage="staging"))
    book.refused(Refused, "in_later_stage", rollback(stage="staging", to="1.0.0"))
    assert book.holders() == {"1.0.0"}


def test_rolling_back_staging_skips_what_went_on_and_takes_what_was_before_it() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    book.promote("1.0.0", "staging")
    book.serve("1.1.0")
    book.promote("1.2.0", "staging")
    assert book.roll_back(stage="staging").version == "1.0.0"


def test_a_stage_left_by_promotion_is_not_refilled_with_what_went_on() -> None:
    book = serving("1.0.0")
    book.refused(Refused, "nothing_to_roll_back_to", rollback(stage="staging"))


def test_a_target_on_its_way_up_again_leaves_the_stage_it_is_in() -> None:
    book = serving("1.0.0", "1.1.0")
    book.promote("1.0.0", "candidate")
    book.promote("1.0.0", "staging")
    event = book.roll_back()
    assert (event.version, event.from_stage) == ("1.0.0", "staging")
    assert book.holders("staging") == set()
    assert book.holders() == {"1.0.0"}


def test_with_two_holders_a_rollback_takes_out_the_one_promoted_last() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0")
    book.serve("1.1.0", keep_existing=True)
    event = book.roll_back()
    assert (event.version, event.from_stage) == ("1.0.0", "production")
    assert event.displaced == (e.Displaced("1.1.0", 2, "archived"),)
    assert book.holders() == {"1.0.0"}


def test_to_one_of_several_holders_takes_out_those_promoted_after_it() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    book.serve("1.0.0")
    book.serve("1.1.0", "1.2.0", "1.3.0", keep_existing=True)
    event = book.roll_back(to="1.1.0")
    assert {d.version for d in event.displaced} == {"1.2.0", "1.3.0"}
    assert book.holders() == {"1.0.0", "1.1.0"}
    assert book.current() == "1.1.0"
    assert book.roll_back().version == "1.0.0"


def test_to_a_former_holder_takes_the_place_of_all() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    book.serve("1.0.0", "1.1.0")
    book.serve("1.2.0", keep_existing=True)
    book.roll_back(to="1.0.0")
    assert book.holders() == {"1.0.0"}


def test_a_rollback_never_goes_forward_to_what_was_archived() -> None:
    book = Book("1.0.0", "1.1.0")
    book.serve("1.0.0")
    book.serve("1.1.0", keep_existing=True)
    book.archive("1.1.0")
    book.refused(Refused, "nothing_to_roll_back_to", rollback())
    assert book.holders() == {"1.0.0"}


def test_after_archiving_the_only_holder_a_rollback_brings_it_back_then_those_before_it() -> None:
    book = serving("1.0.0", "1.1.0")
    book.archive("1.1.0", leave_empty=True)
    event = book.roll_back()
    assert (event.version, event.previous_version, event.displaced) == ("1.1.0", None, ())
    assert book.roll_back().version == "1.0.0"


def test_after_archiving_the_only_holder_to_names_one_before_it() -> None:
    book = serving("1.0.0", "1.1.0")
    book.archive("1.1.0", leave_empty=True)
    assert book.roll_back(to="1.0.0", expect_current=None).version == "1.0.0"


def test_a_missing_artifact_stops_it_and_the_refusal_names_the_next_eligible_and_the_command() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    book.lose("1.2.0", "1.1.0")
    error = book.refused(Refused, "artifact_missing", rollback())
    assert "1.2.0" in error.detail
    assert "Next eligible: 1.0.0" in (error.hint or "")
    assert "regista rollback fraud --to 1.0.0 --reason" in (error.hint or "")
    assert book.roll_back(to="1.0.0").version == "1.0.0"


def test_the_command_names_the_stage_where_it_is_not_production() -> None:
    book = Book("1.0.0", "1.1.0", "1.2.0")
    for ref in ("1.0.0", "1.1.0", "1.2.0"):
        book.promote(ref, "staging")
    book.lose("1.1.0")
    error = book.refused(Refused, "artifact_missing", rollback(stage="staging"))
    assert "regista rollback fraud --stage staging --to 1.0.0 --reason" in (error.hint or "")


def test_a_missing_artifact_without_another_says_to_upload_it() -> None:
    book = serving("1.0.0", "1.1.0")
    book.lose("1.0.0")
    error = book.refused(Refused, "artifact_missing", rollback())
    assert "Upload" in (error.hint or "")


def test_a_named_target_without_artifact_is_refused_too() -> None:
    book = serving("1.0.0", "1.1.0", "1.2.0")
    book.lose("1.0.0")
    error = book.refused(Refused, "artifact_missing", rollback(to="1.0.0"))
    assert "Next eligible: 1.1.0" in (error.hint or "")


def test_expect_current_names_the_version_to_be_rolled_back_from() -> None:
    book = serving("1.0.0", "1.1.0")
    book.refused(PreconditionFailed, "expectation_failed", rollback(expect_current="1.0.0"))
    book.refused(PreconditionFailed, "expectation_failed", rollback(expect_current=None))
    assert book.roll_back(expect_current="1.1.0").version == "1.0.0"
    book.refused(PreconditionFailed, "expectation_failed", rollback(expect_current="1.1.0"))
