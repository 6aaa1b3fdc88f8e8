"""Canaries: a schedule of rising steps, each a change of its own, the last of them everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.domain_book import codes
from tests.support.endpoint_book import FULL, EndpointBook, steps, variant

from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.canary import shared
from regista.domain.errors import Refused

ADVANCE = c.ChangeTraffic("prod", "fraud", advance=True)


def begun(*percents: float, others: tuple[c.VariantRequest, ...] = ()) -> EndpointBook:
    """A canary 1.1.0 beside the champion 1.0.0, at the first of its steps."""
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0")
    book.change(variant("1.0.0"))
    rest = 100 - percents[0] - sum(other.weight for other in others) / 100
    book.change(variant("1.0.0", rest), variant("1.1.0", percents[0]), *others, canary=steps(*percents))
    return book


def test_a_schedule_begins_at_its_first_step() -> None:
    book = begun(5, 25, 100)
    event = book.events[-1]
    assert isinstance(event, e.TrafficChanged)
    assert event.canary == e.Canary("1.1.0", 2, steps(5, 25, 100), 1)
    assert event.previous_canary is None
    assert book.served() == {"1.0.0": "champion 95", "1.1.0": "canary 5"}


def test_each_step_is_a_change_that_says_where_it_stands() -> None:
    book = begun(5, 25, 100)
    event = book.do(ADVANCE)
    assert isinstance(event, e.TrafficChanged)
    assert event.canary is not None
    assert event.previous_canary is not None
    assert (event.previous_canary.step, event.canary.step) == (1, 2)
    assert book.served() == {"1.0.0": "champion 75", "1.1.0": "canary 25"}
    book.do(ADVANCE)
    assert book.served() == {"1.0.0": "champion 0", "1.1.0": "canary 100"}


def test_after_the_last_step_the_canary_is_the_champion() -> None:
    book = begun(50, 100, others=(variant("1.2.0", 0, "shadow"),))
    book.do(ADVANCE)
    event = book.do(ADVANCE)
    assert isinstance(event, e.TrafficChanged)
    assert event.canary is None
    assert book.served() == {"1.1.0": "champion 100", "1.2.0": "shadow 100"}
    book.refused(Refused, "no_canary", ADVANCE)


def test_the_others_share_the_rest_as_they_did_before() -> None:
    book = begun(10, 40, 100, others=(variant("1.2.0", 30, "challenger"),))
    assert book.served() == {"1.0.0": "champion 60", "1.2.0": "challenger 30", "1.1.0": "canary 10"}
    book.do(ADVANCE)
    assert book.served() == {"1.0.0": "champion 40", "1.2.0": "challenger 20", "1.1.0": "canary 40"}


def test_a_canary_goes_on_in_its_regions_alone() -> None:
    book = EndpointBook("1.0.0", "1.1.0", regions=("eu", "us"))
    book.change(
        variant("1.0.0", 90, region="eu"), variant("1.1.0", 10, region="eu"), variant("1.0.0", region="us"),
        canary=steps(10, 100),
    )  # fmt: skip
    book.do(ADVANCE)
    assert book.served() == {"1.0.0@eu": "champion 0", "1.1.0@eu": "canary 100", "1.0.0@us": "champion 100"}
    book.do(ADVANCE)
    assert book.served() == {"1.1.0@eu": "champion 100", "1.0.0@us": "champion 100"}


def test_any_other_change_ends_the_schedule() -> None:
    for other in (
        c.ChangeTraffic("prod", "fraud", (variant("1.0.0", 95), variant("1.1.0", 5))),
        c.ChangeTraffic("prod", "fraud", promote="1.1.0"),
        c.RollBackEndpoint("prod", "fraud"),
    ):
        book = begun(5, 100)
        event = book.do(other)
        assert isinstance(event, e.TrafficChanged | e.EndpointRolledBack)
        assert event.previous_canary is not None
        book.refused(Refused, "no_canary", ADVANCE)


def test_a_canary_that_was_archived_goes_no_further() -> None:
    book = begun(5, 25, 100)
    book.model.archive("1.1.0")
    error = book.refused(Refused, "version_archived", ADVANCE)
    assert error.reasons[0].field == "canary"


def test_a_champion_that_was_archived_makes_room() -> None:
    book = begun(5, 25, 100)
    book.model.archive("1.0.0")
    book.do(ADVANCE)
    assert book.served() == {"1.0.0": "champion 75", "1.1.0": "canary 25"}


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        (steps(10, 10, 100), "bad_steps"),
        (steps(10, 50, 20, 100), "bad_steps"),
        (steps(10, 50), "bad_steps"),
        (steps(0, 100), "bad_steps"),
        (steps(10, 101), "bad_steps"),
        ((e.CanaryStep(1_000, -1, 0), e.CanaryStep(FULL, 0, 0)), "bad_steps"),
        ((e.CanaryStep(1_000, 0, -1), e.CanaryStep(FULL, 0, 0)), "bad_steps"),
        (tuple(e.CanaryStep(1_000 + i, 0, 0) for i in range(100)) + steps(100), "bad_steps"),
        (steps(20, 100), "canary_weight"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(schedule: tuple[e.CanaryStep, ...], code: str) -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    with pytest.raises(Refused) as caught:
        book.change(variant("1.0.0", 90), variant("1.1.0", 10), canary=schedule)
    assert code in codes(caught.value.reasons)


def test_a_schedule_brings_in_one_version() -> None:
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0")
    book.refused(Refused, "one_canary", book.changing(variant("1.0.0"), canary=steps(10, 100)))
    several = (variant("1.0.0", 80), variant("1.1.0", 10), variant("1.2.0", 10))
    book.refused(Refused, "one_canary", book.changing(*several, canary=steps(10, 100)))


@given(weights=st.lists(st.integers(0, FULL), min_size=1, max_size=8), total=st.integers(0, FULL))
def test_what_is_shared_has_no_rest_and_keeps_its_proportions(weights: list[int], total: int) -> None:
    parts = shared(weights, total)
    assert sum(parts) == total
    assert all(part >= 0 for part in parts)
    whole = sum(weights)
    if whole:
        assert all(abs(part - weight * total / whole) < 1 for part, weight in zip(parts, weights, strict=True))
