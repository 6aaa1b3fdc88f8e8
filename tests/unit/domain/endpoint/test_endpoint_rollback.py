"""Rollbacks of endpoints: to what was served before, skipping what was rolled back from, or to a named change."""

from __future__ import annotations

import pytest
from tests.support.domain_book import codes
from tests.support.endpoint_book import EndpointBook, steps, variant

from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.endpoint import evolve, fold
from regista.domain.endpoint.state import KEPT
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused

BACK = c.RollBackEndpoint("prod", "fraud")


def served(*versions: str) -> EndpointBook:
    """Versions that were promoted one after the other: changes 2, 3, 4 and so on."""
    book = EndpointBook(*versions)
    for version in versions:
        book.change(promote=version)
    return book


def test_a_rollback_says_what_it_restores_and_what_was_before() -> None:
    book = served("1.0.0", "1.1.0")
    first, second = book.events[1:]
    assert isinstance(first, e.TrafficChanged)
    assert isinstance(second, e.TrafficChanged)
    assert book.roll_back() == e.EndpointRolledBack(
        "Prod", "Fraud", "fraud", first.variants, 2, second.variants, None, 3
    )
    assert (book.served(), book.state.change) == ({"1.0.0": "champion 100"}, 4)


def test_rollbacks_go_back_step_by_step_and_skip_what_was_rolled_back_from() -> None:
    book = served("1.0.0", "1.1.0", "1.2.0")
    assert [book.roll_back().restores, book.roll_back().restores] == [3, 2]
    book.refused(Refused, "nothing_to_roll_back_to", BACK)


def test_a_change_after_a_rollback_returns_to_what_was_served_then() -> None:
    book = served("1.0.0", "1.1.0", "1.2.0")
    book.roll_back()
    book.change(promote="1.2.0")
    assert book.roll_back().restores == 3
    assert book.served() == {"1.1.0": "champion 100"}


def test_a_named_change_is_returned_to_and_those_left_behind_are_not_offered() -> None:
    book = served("1.0.0", "1.1.0", "1.2.0")
    assert book.roll_back(to=2).restores == 2
    book.change(variant("1.0.0", 50), variant("1.2.0", 50))
    assert book.roll_back().restores == 2


def test_what_was_rolled_back_from_can_be_named_and_is_skipped_after() -> None:
    book = served("1.0.0", "1.1.0", "1.2.0")
    book.roll_back()
    assert book.roll_back(to=4).restores == 4
    assert book.roll_back().restores == 2, "1.1.0 was rolled back from, by name"


def test_a_rollback_can_be_named_for_the_set_that_it_restored() -> None:
    book = served("1.0.0", "1.1.0")
    book.roll_back()
    book.change(promote="1.1.0")
    assert book.roll_back(to=4).restores == 2


def test_a_change_to_the_same_set_is_no_step_back() -> None:
    book = served("1.0.0", "1.1.0")
    book.change(promote="1.1.0")
    assert book.roll_back().restores == 2


def test_a_rollback_takes_a_canary_out_whatever_its_step() -> None:
    book = served("1.0.0")
    book.change(variant("1.0.0"))
    book.model.register("1.1.0")
    book.model.promote("1.1.0", "staging", keep_existing=True)
    book.change(variant("1.0.0", 90), variant("1.1.0", 10), canary=steps(10, 50, 100))
    book.change(advance=True)
    event = book.roll_back()
    assert event.previous_canary is not None
    assert event.previous_canary.step == 2
    assert book.served() == {"1.0.0": "champion 100"}


def test_a_rollback_from_what_a_canary_became_returns_to_what_was_before_it() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(promote="1.0.0")
    book.change(variant("1.0.0", 90), variant("1.1.0", 10), canary=steps(10, 100))
    book.change(advance=True)
    book.change(advance=True)
    assert book.served() == {"1.1.0": "champion 100"}
    assert book.roll_back().restores == 2
    assert book.roll_back(to=3).restores == 3, "a step can be named"
    assert book.served() == {"1.0.0": "champion 90", "1.1.0": "canary 10"}
    assert book.state.canary is None


def test_a_rollback_needs_no_stage_and_no_check_and_returns_to_archived_versions() -> None:
    book = served("1.0.0", "1.1.0")
    book.model.archive("1.0.0")
    book.remove_target("Edge")
    assert book.roll_back().restores == 2


def test_a_rollback_without_anything_before_names_what_can_be_named() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.refused(Refused, "nothing_to_roll_back_to", BACK)
    book.change(promote="1.0.0")
    book.refused(Refused, "nothing_to_roll_back_to", BACK)
    book.change(promote="1.1.0")
    book.roll_back()
    error = book.refused(Refused, "nothing_to_roll_back_to", BACK)
    assert "--to 3" in (error.hint or "")


def test_a_lost_artifact_hinders_and_the_next_eligible_change_is_named() -> None:
    book = served("1.0.0", "1.1.0", "1.2.0")
    book.lose("1.1.0")
    error = book.refused(Refused, "artifact_missing", BACK)
    assert "--to 2" in (error.hint or "")
    book.lose("1.0.0")
    error = book.refused(Refused, "artifact_missing", BACK)
    assert "Upload" in (error.hint or "")


def test_a_region_that_is_gone_hinders_with_all_else() -> None:
    book = EndpointBook("1.0.0", "1.1.0", regions=("eu", "us"))
    book.change(promote="1.0.0")
    book.change(variant("1.1.0", region="us"))
    book.define("production", regions=("us",))
    book.lose("1.0.0")
    error = book.refused(Refused, "rollback_refused", BACK)
    assert codes(error.reasons) == {"artifact_missing", "bad_region"}


def test_what_is_served_or_was_no_change_is_not_returned_to() -> None:
    book = served("1.0.0", "1.1.0")
    book.refused(Refused, "already_served", c.RollBackEndpoint("prod", "fraud", 3))
    for sequence in (0, 1, 9):
        book.refused(NotFound, "unknown_change", c.RollBackEndpoint("prod", "fraud", sequence))


def test_a_rollback_needs_a_reason_and_the_change_that_was_expected() -> None:
    book = served("1.0.0", "1.1.0")
    book.refused(Invalid, "reason_required", BACK, None)
    book.refused(PreconditionFailed, "expectation_failed", c.RollBackEndpoint("prod", "fraud", expect_change=2))
    assert book.roll_back(expect_change=3).restores == 2


@pytest.mark.parametrize("changes", [KEPT, KEPT + 1, 3 * KEPT])
def test_the_history_is_bounded_and_what_fell_out_of_it_is_still_known_to_have_been_a_change(changes: int) -> None:
    book = served("1.0.0", "1.1.0")
    one, other = (event for event in book.events if isinstance(event, e.TrafficChanged))
    state = book.state
    for i in range(changes):
        state = evolve(state, (one, other)[i % 2])
    assert len(state.history) == KEPT
    assert state.find(2) is None
    assert state.was_change(2)
    assert state.forgotten == state.history[0].sequence - 1


def test_a_variant_that_stays_is_one_object_in_the_history() -> None:
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0")
    book.change(variant("1.0.0"), variant("1.1.0", 0, "shadow"))
    book.change(variant("1.2.0"), variant("1.1.0", 0, "shadow"))
    first, second = book.state.history
    assert first.variants[1] is second.variants[1]


def test_a_hundred_thousand_changes_fold_to_a_small_state() -> None:
    book = served("1.0.0", "1.1.0")
    one, other = (event for event in book.events if isinstance(event, e.TrafficChanged))
    state = fold((event for _ in range(50_000) for event in (one, other)), book.state)
    assert (state.sequence, len(state.history)) == (100_003, KEPT)
    back = fold([e.EndpointRolledBack("Prod", "Fraud", "fraud", one.variants, 100_002, (), None, 100_003)], state)
    assert back.rolled_back == {100_003}
