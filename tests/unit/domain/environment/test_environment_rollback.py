"""A rollback of an environment: all endpoints and stages to what they were at a moment, as one atomic set."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.support.domain_book import codes
from tests.support.endpoint_book import EndpointBook, steps, variant

from regista.domain import commands as m
from regista.domain import endpoint
from regista.domain import events as e
from regista.domain.context import Context, State
from regista.domain.environment.commands import RollBackEnvironment
from regista.domain.environment.rollback import roll_back_environment
from regista.domain.errors import Invalid, NotFound, Refused, RegistaError
from regista.domain.kinds import kind_of

BACK = RollBackEnvironment("PROD", "2026-05-04T12:00:00Z")
ENDPOINT, MODEL = "endpoint/prod/fraud", "model/fraud"


def rolled_back(
    book: EndpointBook, then: Mapping[str, State], missing: frozenset[str] = frozenset()
) -> list[tuple[str, e.Event]]:
    """The events, applied to the book."""
    planned = roll_back_environment(BACK, book.streams(), then, Context("because", missing_artifacts=missing))
    for stream, event in planned:
        if stream == ENDPOINT:
            book.state = kind_of(stream).evolve(book.state, event)
        else:
            book.model.state = kind_of(stream).evolve(book.model.state, event)
    return planned


def refused(
    book: EndpointBook, then: Mapping[str, State], code: str, missing: frozenset[str] = frozenset()
) -> RegistaError:
    with pytest.raises(RegistaError) as caught:
        rolled_back(book, then, missing)
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    assert all(reason.hint and reason.field for reason in caught.value.reasons)
    return caught.value


def producing(*versions: str) -> EndpointBook:
    """The first version in production and served."""
    book = EndpointBook(*versions)
    book.model.promote(versions[0], "production")
    book.change(promote=versions[0])
    return book


def test_endpoints_and_stages_return_together() -> None:
    book = producing("1.0.0", "1.1.0")
    then = book.streams()
    book.model.promote("1.1.0", "production")
    book.change(promote="1.1.0")
    planned = rolled_back(book, then)
    assert [stream for stream, _ in planned] == [ENDPOINT, MODEL, MODEL]
    traffic, production, staging = (event for _, event in planned)
    assert isinstance(traffic, e.EndpointRolledBack)
    assert (traffic.restores, traffic.previous_change) == (2, 3)
    assert isinstance(production, e.VersionRolledBack)
    assert (production.stage, production.version, production.previous_version) == ("production", "1.0.0", "1.1.0")
    assert production.displaced == (e.Displaced("1.1.0", 2, "archived"),)
    assert isinstance(staging, e.VersionRolledBack)
    assert (staging.stage, staging.version, staging.from_stage) == ("staging", "1.1.0", "archived")
    assert book.served() == {"1.0.0": "champion 100"}
    assert (book.model.holders("production"), book.model.holders("staging")) == ({"1.0.0"}, {"1.1.0"})
    refused(book, then, "as_it_was")


def test_what_is_as_it_was_is_left_alone() -> None:
    book = producing("1.0.0", "1.1.0")
    then = book.streams()
    book.change(promote="1.1.0")
    assert [stream for stream, _ in rolled_back(book, then)] == [ENDPOINT]
    refused(producing("1.0.0"), producing("1.0.0").streams(), "as_it_was")


def test_a_canary_begun_since_is_taken_out() -> None:
    book = producing("1.0.0", "1.1.0")
    then = book.streams()
    book.change(variant("1.0.0", 90), variant("1.1.0", 10), canary=steps(10, 100))
    [(_, event)] = rolled_back(book, then)
    assert isinstance(event, e.EndpointRolledBack)
    assert event.previous_canary is not None
    assert book.state.canary is None


def test_a_canary_that_stands_where_it_stood_is_left_alone() -> None:
    book = producing("1.0.0", "1.1.0")
    book.change(variant("1.0.0", 90), variant("1.1.0", 10), canary=steps(10, 100))
    refused(book, book.streams(), "as_it_was")


def test_several_holders_return_in_their_order() -> None:
    book = producing("1.0.0", "1.1.0", "1.2.0")
    book.model.promote("1.1.0", "production", keep_existing=True)
    then = book.streams()
    book.model.promote("1.2.0", "production")
    assert book.model.holders() == {"1.2.0"}
    events = [event for _, event in rolled_back(book, then) if isinstance(event, e.VersionRolledBack)]
    assert [(x.version, x.stage, [gone.version for gone in x.displaced], x.previous_version) for x in events] == [
        ("1.0.0", "production", ["1.2.0"], "1.2.0"),
        ("1.1.0", "production", [], "1.0.0"),
        ("1.2.0", "staging", [], None),
    ]
    assert book.model.holders() == {"1.0.0", "1.1.0"}
    assert book.model.current() == "1.1.0"


def test_holders_that_came_beside_leave() -> None:
    book = producing("1.0.0", "1.1.0")
    then = book.streams()
    book.model.promote("1.1.0", "production", keep_existing=True)
    rolled_back(book, then)
    assert book.model.holders() == {"1.0.0"}
    assert book.model.stage_of("1.1.0") == "staging"


def test_a_stage_without_a_holder_and_an_endpoint_without_traffic_are_left_alone() -> None:
    book = EndpointBook("1.0.0")
    then = book.streams()
    book.change(promote="1.0.0")
    book.model.register("1.1.0")
    book.model.promote("1.1.0", "staging", keep_existing=True)
    book.model.promote("1.1.0", "production")
    refused(book, then, "as_it_was")


def test_an_endpoint_that_is_newer_than_the_moment_is_left_alone() -> None:
    book = EndpointBook("1.0.0")
    then = {stream: state for stream, state in book.streams().items() if stream != ENDPOINT}
    book.change(promote="1.0.0")
    refused(book, then, "as_it_was")


def test_an_endpoint_of_another_environment_and_a_model_that_it_does_not_serve_are_left_alone() -> None:
    book = producing("1.0.0", "1.1.0")
    other = producing("1.0.0", "1.1.0")
    then = {**book.streams(), "endpoint/dev/fraud": other.state, "model/churn": other.model.state}
    other.change(promote="1.1.0")
    foreign = endpoint.fold(
        [e.EndpointCreated("dev", "fraud", "churn", (), None, automatic=False, guardrails=(), description="")]
    )
    book.change(promote="1.1.0")
    now = {**book.streams(), "endpoint/dev/fraud": foreign, "model/churn": other.model.state}
    planned = roll_back_environment(BACK, now, then, Context("because"))
    assert [stream for stream, _ in planned] == [ENDPOINT]


def test_everything_that_hinders_is_told_at_once_and_nothing_happens() -> None:
    book = producing("1.0.0", "1.1.0")
    then = book.streams()
    book.model.promote("1.1.0", "production")
    missing = frozenset({book.digest("1.0.0")})
    book.retire()
    book.model.do(m.RetireModel("fraud", leave_empty=True))
    error = refused(book, then, "rollback_refused", missing)
    assert isinstance(error, Refused)
    assert codes(error.reasons) == {"endpoint_retired", "model_retired", "artifact_missing"}
    assert {reason.field for reason in error.reasons} == {ENDPOINT, MODEL}


def test_lost_bytes_and_regions_that_are_gone_hinder() -> None:
    book = EndpointBook("1.0.0", "1.1.0", regions=("eu", "us"))
    book.change(promote="1.0.0")
    then = book.streams()
    book.change(promote="1.1.0")
    book.define("production", regions=("us",))
    error = refused(book, then, "rollback_refused", frozenset({book.digest("1.0.0")}))
    assert codes(error.reasons) == {"artifact_missing", "bad_region"}


def test_a_version_that_went_on_to_a_stage_that_was_empty_comes_back_and_leaves_it_empty() -> None:
    book = EndpointBook("1.0.0")
    then = book.streams()
    book.model.promote("1.0.0", "production")
    [(_, event)] = rolled_back(book, then)
    assert isinstance(event, e.VersionRolledBack)
    assert (event.stage, event.from_stage) == ("staging", "production")
    assert (book.model.holders("production"), book.model.holders("staging")) == (set(), {"1.0.0"})


def test_a_version_in_a_later_stage_that_is_not_rolled_back_hinders() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.define("staging")
    book.change(promote="1.0.0")
    then = book.streams()
    book.model.promote("1.1.0", "production")
    error = refused(book, then, "in_later_stage")
    assert "regista rollback fraud --stage production" in (error.hint or "")


def test_a_rollback_of_an_endpoint_created_anew_restores_what_its_forerunner_served() -> None:
    book = producing("1.0.0", "1.1.0")
    then = book.streams()
    book.retire()
    book.create()
    book.change(promote="1.1.0")
    rolled_back(book, then)
    assert book.served() == {"1.0.0": "champion 100"}
    assert book.state.present is not None
    assert (book.state.present.origin, book.state.present.before) == (2, None)


def test_after_a_rollback_of_the_environment_rollbacks_of_its_endpoints_go_on_from_there() -> None:
    book = producing("1.0.0", "1.1.0", "1.2.0")
    book.change(promote="1.1.0")
    then = book.streams()
    book.change(promote="1.2.0")
    rolled_back(book, then)
    assert book.roll_back().restores == 2


def test_it_needs_an_environment_a_reason_and_texts_that_can_be_printed() -> None:
    book = producing("1.0.0")
    with pytest.raises(NotFound):
        roll_back_environment(RollBackEnvironment("dev", "1"), book.streams(), {}, Context("because"))
    for reason, at, code in ((None, "1", "reason_required"), ("because", "\x00", "invalid_text")):
        with pytest.raises(Invalid) as caught:
            roll_back_environment(RollBackEnvironment("prod", at), book.streams(), {}, Context(reason))
        assert caught.value.code == code
