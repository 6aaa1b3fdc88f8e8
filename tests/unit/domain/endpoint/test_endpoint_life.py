"""The endpoint itself: a name for versions of one model, described, retired, created anew."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.domain_book import codes
from tests.support.endpoint_book import EndpointBook, variant

from regista.domain import commands as m
from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.endpoint import evolve, fold, named_streams
from regista.domain.endpoint.state import EMPTY
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused, Retired

GUARDRAIL = e.Guardrail("error_rate", "maximum", relative_to_champion=True, value=1.2, minimum_samples=500)


def creating(**how: Any) -> c.CreateEndpoint:
    return c.CreateEndpoint(**{"environment": "prod", "endpoint": "Fraud", "model": "fraud", **how})


def test_an_endpoint_is_created_with_the_names_as_they_were_first_spelled() -> None:
    book = EndpointBook("1.0.0", created=False)
    event = book.do(creating(targets=("EDGE",), follow="@Production", automatic=True, guardrails=(GUARDRAIL,)))
    assert event == e.EndpointCreated(
        "Prod", "Fraud", "fraud", ("Edge",), "@production", automatic=True, guardrails=(GUARDRAIL,), description=""
    )
    assert (book.state.exists, book.state.variants, book.state.change) == (True, (), None)


def test_everything_that_is_missing_around_it_is_told_at_once() -> None:
    book = EndpointBook("1.0.0", created=False)
    command = c.CreateEndpoint("dev", "fraud", "churn", ("edge", "core", "EDGE"), "1.0.0")
    error = book.refused(Refused, "endpoint_refused", command)
    assert [reason.code for reason in error.reasons] == [
        "unknown_environment",
        "unknown_model",
        "unknown_target",
        "named_twice",
        "bad_follow",
    ]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"targets": ("core",)}, "unknown_target"),
        ({"follow": "sha256:" + "ab" * 32}, "bad_follow"),
        ({"follow": "latest"}, "bad_reference"),
        ({"follow": "@candidate"}, "stage_not_allowed"),
        ({"follow": "stage:canary"}, "unknown_stage"),
        ({"guardrails": (e.Guardrail(" ", "maximum", False, 1.0, 1),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("a", "unknown", False, 1.0, 1),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("a", "minimum", False, float("nan"), 1),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("a", "minimum", False, 1.0, 0),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("errors", "maximum", False, 2.0, 1),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("latency_p90", "maximum", False, 0.2, 1),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("latency", "maximum", False, 0.2, 1),)}, "bad_guardrail"),
        ({"guardrails": (e.Guardrail("errors", "maximum", False, -0.1, 1),)}, "bad_guardrail"),
    ],
)
def test_what_does_not_hold_is_refused(how: dict[str, Any], code: str) -> None:
    EndpointBook("1.0.0", created=False).refused(Refused, code, creating(**how))


@pytest.mark.parametrize("names", [{"environment": "a/b"}, {"endpoint": ""}, {"model": ".."}, {"targets": ("a b",)}])
def test_what_is_no_name_is_refused(names: dict[str, Any]) -> None:
    EndpointBook(created=False).refused(Invalid, "bad_name", creating(**names))


def test_a_text_that_cannot_be_printed_is_refused() -> None:
    EndpointBook(created=False).refused(Invalid, "invalid_text", creating(description="a\x00"))


def test_a_retired_model_gets_no_endpoint() -> None:
    book = EndpointBook("1.0.0", created=False)
    book.model.do(m.RetireModel("fraud"))
    book.refused(Refused, "model_retired", creating())


def test_an_update_says_the_whole_and_what_was_before() -> None:
    book = EndpointBook("1.0.0", follow="@production", description="Old.")
    book.put_target("Core")
    event = book.do(c.UpdateEndpoint("prod", "fraud", ("core", "edge"), None, True, (GUARDRAIL,), "New."))
    assert event == e.EndpointUpdated(
        "Prod", "Fraud", "fraud", ("Core", "Edge"), None, True, (GUARDRAIL,), "New.",
        ("Edge",), "@production", False, (), "Old.",
    )  # fmt: skip
    again = book.do(c.UpdateEndpoint("prod", "fraud", follow="@champion"))
    assert isinstance(again, e.EndpointUpdated)
    assert (again.targets, again.follow, again.automatic, again.description) == (
        ("Core", "Edge"), "@champion", True, "New.",
    )  # fmt: skip


def test_an_update_keeps_what_is_served() -> None:
    book = EndpointBook("1.0.0")
    change = book.change(variant("1.0.0"))
    book.do(c.UpdateEndpoint("prod", "fraud", targets=()))
    assert book.state.variants == change.variants
    assert book.state.change == 2


def test_an_update_that_names_nothing_or_what_is_not_there_is_refused() -> None:
    book = EndpointBook("1.0.0")
    book.refused(Invalid, "nothing_to_change", c.UpdateEndpoint("prod", "fraud"))
    error = book.refused(
        Refused, "endpoint_refused", c.UpdateEndpoint("prod", "fraud", ("core",), "@archived", guardrails=(GUARDRAIL,))
    )
    assert codes(error.reasons) == {"unknown_target", "stage_not_allowed"}


COMMANDS: list[c.Command] = [
    c.UpdateEndpoint("prod", "fraud", description="x"),
    c.ChangeTraffic("prod", "fraud", promote="1.0.0"),
    c.RollBackEndpoint("prod", "fraud"),
    c.FollowVersion("prod", "fraud", "@production"),
    c.ConcludeExperiment("prod", "fraud", 2, "inconclusive"),
    c.RetireEndpoint("prod", "fraud"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_retired_endpoint_takes_no_writes(command: c.Command) -> None:
    book = EndpointBook("1.0.0")
    book.retire()
    assert "POST /v1/endpoints" in (book.refused(Retired, "endpoint_retired", command).hint or "")


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, c.ReportDeployment("prod", "fraud", "edge", 2, "succeeded")],
    ids=lambda command: type(command).__name__,
)
def test_an_endpoint_that_was_never_created_is_not_found(command: c.Command) -> None:
    EndpointBook("1.0.0", created=False).refused(NotFound, "unknown_endpoint", command)


def test_retiring_says_what_was_served_and_needs_a_reason() -> None:
    book = EndpointBook("1.0.0")
    change = book.change(variant("1.0.0"))
    book.refused(Invalid, "reason_required", c.RetireEndpoint("prod", "fraud"), "")
    book.refused(PreconditionFailed, "expectation_failed", c.RetireEndpoint("prod", "fraud", 1))
    assert book.retire() == e.EndpointRetired("Prod", "Fraud", "fraud", change.variants, None, 2)
    assert (book.state.variants, book.state.change) == ((), None)


def test_a_name_is_taken_once_and_stays_with_its_model() -> None:
    book = EndpointBook("1.0.0")
    book.refused(Refused, "name_taken", creating())
    book.refused(Refused, "name_taken", creating(model="churn"))
    book.retire()
    error = book.refused(Refused, "name_taken", creating(model="churn"))
    assert "fraud" in (error.hint or "")


def test_a_retired_endpoint_can_be_created_anew_and_no_rollback_reaches_behind_that() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(variant("1.0.0"))
    book.retire()
    book.create(follow="@champion")
    assert (book.state.retired, book.state.sequence, book.state.follow) == (False, 4, "@champion")
    book.change(variant("1.1.0"))
    book.refused(Refused, "nothing_to_roll_back_to", c.RollBackEndpoint("prod", "fraud"))
    book.refused(NotFound, "unknown_change", c.RollBackEndpoint("prod", "fraud", 2))


def test_the_history_folds_to_the_state() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(variant("1.0.0"))
    book.change(variant("1.1.0"))
    book.roll_back()
    assert fold(book.events) == book.state
    with pytest.raises(KeyError):
        evolve(EMPTY, e.ModelRevived("fraud"))


@pytest.mark.parametrize(
    ("command", "streams"),
    [
        (creating(targets=("Edge", "edge")), ["environment/prod", "model/fraud", "target/edge"]),
        (c.ChangeTraffic("prod", "fraud", promote="1"), ["environment/prod", "model/fraud", "target/edge"]),
        (c.FollowVersion("prod", "fraud", "@production"), ["environment/prod", "model/fraud", "target/edge"]),
        (c.UpdateEndpoint("prod", "fraud", ("core",)), ["environment/prod", "model/fraud", "target/core"]),
        (c.UpdateEndpoint("prod", "fraud"), ["environment/prod", "model/fraud", "target/edge"]),
        (c.RollBackEndpoint("prod", "fraud"), ["environment/prod", "model/fraud"]),
        (c.ReportDeployment("prod", "fraud", "edge", 2, "succeeded"), ["model/fraud"]),
        (c.ConcludeExperiment("prod", "fraud", 2, "promote"), []),
        (c.RetireEndpoint("prod", "fraud"), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_decision_names_the_streams_that_it_reads(command: c.Command, streams: list[str]) -> None:
    assert named_streams(EndpointBook("1.0.0").state, command) == streams
