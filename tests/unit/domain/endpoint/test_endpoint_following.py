"""Following: a stage or alias moved, and the endpoint serves what it names; a refusal is an event of its own."""

from __future__ import annotations

from tests.support.endpoint_book import EndpointBook, steps, variant

from regista.domain import commands as m
from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused
from regista.domain.model import EMPTY

FOLLOW = c.FollowVersion("prod", "fraud", "@production")


def following(*versions: str, follow: str = "@production", regions: tuple[str, ...] = ()) -> EndpointBook:
    book = EndpointBook(*versions, follow=follow, regions=regions)
    book.model.promote(versions[0], "production")
    return book


def test_a_follower_serves_what_the_stage_names() -> None:
    book = following("1.0.0", "1.1.0")
    first = book.do(FOLLOW)
    assert isinstance(first, e.TrafficChanged)
    assert book.served() == {"1.0.0": "champion 100"}
    book.model.promote("1.1.0", "production")
    second = book.do(c.FollowVersion("prod", "fraud", "@Production", "1.1.0"))
    assert isinstance(second, e.TrafficChanged)
    assert (second.previous, book.served()) == (first.variants, {"1.1.0": "champion 100"})


def test_a_follower_of_an_alias_serves_what_it_points_at() -> None:
    book = following("1.0.0", "1.1.0", follow="@Best")
    book.model.do(m.AssignAlias("fraud", "best", "1.1.0"))
    book.do(c.FollowVersion("prod", "fraud", "@best"))
    assert book.served() == {"1.1.0": "champion 100"}


def test_the_shape_stays_and_what_was_tried_is_ended() -> None:
    book = following("1.0.0", "1.1.0", "1.2.0", "1.3.0", regions=("eu", "us"))
    book.change(
        variant("1.0.0", 90, region="eu"), variant("1.1.0", 10, "canary", region="eu"),
        variant("1.2.0", 0, "shadow", region="eu", mirror=2_000), variant("1.0.0", 60, region="us"),
        variant("1.1.0", 40, "canary", region="us"),
    )  # fmt: skip
    book.model.promote("1.3.0", "production")
    book.do(FOLLOW)
    assert book.served() == {"1.3.0@eu": "champion 100", "1.2.0@eu": "shadow 20", "1.3.0@us": "champion 100"}
    assert book.state.canary is None


def test_a_shadow_that_becomes_the_champion_is_there_once() -> None:
    book = following("1.0.0", "1.1.0")
    book.change(variant("1.0.0"), variant("1.1.0", 0, "shadow"))
    book.model.promote("1.1.0", "production")
    book.do(FOLLOW)
    assert book.served() == {"1.1.0": "champion 100"}


def test_following_to_a_canary_ends_its_schedule() -> None:
    book = following("1.0.0", "1.1.0")
    book.change(variant("1.0.0", 90), variant("1.1.0", 10), canary=steps(10, 100))
    book.model.promote("1.1.0", "production")
    event = book.do(FOLLOW)
    assert isinstance(event, e.TrafficChanged)
    assert (event.canary, event.previous_canary is None) == (None, False)
    assert book.served() == {"1.1.0": "champion 100"}


def test_a_refusal_is_an_event_with_every_reason_and_changes_nothing() -> None:
    book = following("1.0.0", "1.1.0")
    served = book.do(FOLLOW)
    assert isinstance(served, e.TrafficChanged)
    book.model.promote("1.1.0", "production")
    book.lose("1.1.0")
    book.define("staging")
    event = book.do(FOLLOW)
    assert isinstance(event, e.FollowRefused)
    assert (event.followed, event.version, event.ordinal, event.artifact_digest) == (
        "@production", "1.1.0", 2, book.digest("1.1.0"),
    )  # fmt: skip
    assert event.code == "traffic_refused"
    assert [reason.code for reason in event.reasons] == ["stage_not_allowed", "artifact_missing"]
    assert all(reason.hint for reason in event.reasons)
    assert (event.variants, event.change) == (served.variants, 2)
    assert (book.state.variants, book.state.change, book.state.sequence) == (served.variants, 2, 3)


def test_a_target_that_is_gone_is_a_refusal_with_its_own_code() -> None:
    book = following("1.0.0")
    book.remove_target("Edge")
    event = book.do(FOLLOW)
    assert isinstance(event, e.FollowRefused)
    assert event.code == "unknown_target"


def test_what_is_served_already_is_not_changed() -> None:
    book = following("1.0.0", "1.1.0", regions=("eu", "us"))
    book.do(FOLLOW)
    book.refused(Refused, "already_served", FOLLOW)
    book.change(variant("1.0.0"), variant("1.1.0", 0, "shadow"))
    book.refused(Refused, "already_served", FOLLOW)
    book.change(variant("1.0.0", 90), variant("1.1.0", 10))
    book.do(FOLLOW)


def test_a_version_that_was_named_and_is_no_more_is_not_followed() -> None:
    book = following("1.0.0", "1.1.0")
    book.model.promote("1.1.0", "production")
    error = book.refused(
        PreconditionFailed, "follow_outdated", c.FollowVersion("prod", "fraud", "@production", "1.0.0")
    )
    assert "names 1.1.0 by now" in error.detail


def test_a_stage_that_nothing_holds_is_not_followed() -> None:
    book = following("1.0.0")
    book.model.archive("1.0.0", leave_empty=True)
    book.refused(Refused, "nothing_to_follow", FOLLOW)


def test_an_endpoint_follows_what_it_was_told_to_and_nothing_else() -> None:
    book = following("1.0.0")
    book.refused(Refused, "not_following", c.FollowVersion("prod", "fraud", "@staging"))
    book.refused(Refused, "bad_follow", c.FollowVersion("prod", "fraud", "1.0.0"))
    book.do(c.UpdateEndpoint("prod", "fraud", follow=None))
    book.refused(Refused, "not_following", FOLLOW)


def test_following_needs_a_reason_and_a_model() -> None:
    book = following("1.0.0")
    book.refused(Invalid, "reason_required", FOLLOW, "")
    book.model.state = EndpointBook().model.state
    book.refused(Refused, "nothing_to_follow", FOLLOW)


def test_a_default_stage_is_one_thing_however_it_is_written() -> None:
    book = following("1.0.0", follow="stage:Production")
    assert book.state.follow == "@production"
    book.do(FOLLOW)


def test_a_model_that_is_not_there_is_not_found() -> None:
    book = following("1.0.0")
    book.model.state = EMPTY
    book.refused(NotFound, "unknown_model", FOLLOW)
