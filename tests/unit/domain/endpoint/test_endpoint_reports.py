"""What deployers and judges tell: recorded against the very change it is about."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.domain_book import codes, digest
from tests.support.endpoint_book import EndpointBook, steps, variant

from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.state import Report
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused


def report(change: int, state: e.DeploymentState = "succeeded", **how: Any) -> c.ReportDeployment:
    return c.ReportDeployment("prod", "fraud", **{"target": "edge", "change": change, "state": state, **how})


def conclude(change: int, verdict: e.Verdict, **how: Any) -> c.ConcludeExperiment:
    return c.ConcludeExperiment("prod", "fraud", change, verdict, **how)


def measured(version: str, value: float = 0.5, samples: int = 10, limit: float | None = None) -> e.Measured:
    return e.Measured(version, None, "error_rate", value, samples, limit)


def test_a_report_says_what_runs_and_whether_the_registry_knows_it() -> None:
    book = EndpointBook("1.0.0")
    book.change(promote="1.0.0")
    seen = (
        c.ObservedVariant(book.digest("1.0.0"), "champion", 9_000),
        c.ObservedVariant(digest("a stranger"), weight=1_000),
    )
    event = book.do(report(2, observed=seen, detail="Reloaded.\n", attempts=2))
    assert event == e.DeploymentReported(
        "Prod", "Fraud", "fraud", "Edge", 2, "succeeded",
        (
            e.Observed("1.0.0", book.digest("1.0.0"), "champion", 9_000, 0, None),
            e.Observed(None, digest("a stranger"), "unknown", 1_000, 0, None),
        ),
        "Reloaded.\n", 2, None, None,
    )  # fmt: skip


def test_of_versions_with_the_same_bytes_the_one_that_is_to_be_served_is_meant() -> None:
    book = EndpointBook("1.0.0", "1.2.0")
    for version in ("1.3.0", "1.4.0"):
        book.model.register(version, content="the same")
        book.model.promote(version, "staging", keep_existing=True)
    seen = (c.ObservedVariant(digest("the same")),)
    book.change(promote="1.0.0")
    event = book.do(report(2, "failed", observed=seen))
    assert isinstance(event, e.DeploymentReported)
    assert event.observed[0].version == "1.4.0"
    book.change(promote="1.3.0")
    event = book.do(report(4, observed=seen))
    assert isinstance(event, e.DeploymentReported)
    assert event.observed[0].version == "1.3.0"
    assert (event.previous_change, event.previous_state) == (2, "failed")


def test_a_late_report_on_an_older_change_does_not_hide_the_newest() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(promote="1.0.0")
    book.change(promote="1.1.0")
    book.do(report(3))
    book.do(report(2, "superseded", attempts=0))
    assert book.state.reports == {"edge": Report(3, "succeeded")}
    event = book.do(report(3, "failed"))
    assert isinstance(event, e.DeploymentReported)
    assert event.previous_state == "succeeded"


def test_a_report_comes_also_for_a_target_given_up_and_for_an_endpoint_retired() -> None:
    book = EndpointBook("1.0.0")
    book.change(promote="1.0.0")
    book.do(c.UpdateEndpoint("prod", "fraud", targets=()))
    book.do(report(2, target="EDGE"))
    book.retire()
    book.do(report(5))
    assert book.state.reports["edge"].change == 5


@pytest.mark.parametrize("change", [0, 1, 3, 99])
def test_a_report_on_what_was_no_change_is_refused(change: int) -> None:
    book = EndpointBook("1.0.0")
    book.change(promote="1.0.0")
    book.refused(NotFound, "unknown_change", report(change))


def test_a_report_of_a_target_that_it_never_had_is_refused() -> None:
    book = EndpointBook("1.0.0")
    book.change(promote="1.0.0")
    book.refused(NotFound, "unknown_target", report(2, target="core"))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"state": "unknown"}, "invalid_report"),
        ({"attempts": -1}, "invalid_report"),
        ({"observed": (c.ObservedVariant("abc"),)}, "bad_digest"),
        ({"observed": (c.ObservedVariant(digest("x"), weight=-1),)}, "invalid_report"),
        ({"detail": "\x1b[31m"}, "invalid_text"),
    ],
)
def test_a_report_that_does_not_hold_is_refused(how: dict[str, Any], code: str) -> None:
    book = EndpointBook("1.0.0")
    book.change(promote="1.0.0")
    book.refused(Invalid, code, report(2, **how))


def experiment(*percents: float) -> EndpointBook:
    """A canary at change 3, with a schedule where steps are given."""
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(promote="1.0.0")
    first = percents[0] if percents else 10
    book.change(variant("1.0.0", 100 - first), variant("1.1.0", first, "canary"), canary=steps(*percents))
    return book


def test_a_verdict_is_recorded_against_the_change_and_step_that_it_judged() -> None:
    book = experiment(10, 100)
    numbers = (measured("1.0.0", 0.01, 900), measured("1.1.0", 0.02, 100, 0.015))
    event = book.do(conclude(3, "roll_back", measured=numbers, explanation=("2 % over 1.5 %",), step=1))
    assert event == e.ExperimentConcluded(
        "Prod", "Fraud", "fraud", 3, 1, "roll_back", numbers, ("2 % over 1.5 %",), None
    )
    assert book.state.change == 3, "a verdict changes nothing by itself"


def test_an_open_verdict_may_be_followed_by_another_and_a_decided_one_may_not() -> None:
    book = experiment(10, 100)
    book.do(conclude(3, "inconclusive"))
    event = book.do(conclude(3, "proceed"))
    assert isinstance(event, e.ExperimentConcluded)
    assert (event.step, event.previous_verdict) == (1, "inconclusive")
    book.refused(Refused, "already_concluded", conclude(3, "promote"))
    book.change(advance=True)
    book.refused(Refused, "last_step", conclude(5 + 1, "proceed"))
    book.do(conclude(6, "promote"))


@pytest.mark.parametrize("good", ["proceed", "promote"])
def test_what_was_good_so_far_can_turn_out_to_do_harm_and_what_did_harm_stays_bad(good: e.Verdict) -> None:
    book = experiment(10, 100)
    book.do(conclude(3, good))
    event = book.do(conclude(3, "roll_back"))
    assert isinstance(event, e.ExperimentConcluded)
    assert (event.verdict, event.previous_verdict) == ("roll_back", good)
    for verdict in ("roll_back", good):
        book.refused(Refused, "already_concluded", conclude(3, verdict))


def test_a_verdict_on_what_is_served_no_more_is_too_late() -> None:
    book = experiment(10, 100)
    book.change(advance=True)
    book.refused(PreconditionFailed, "change_outdated", conclude(3, "proceed"))
    book.refused(PreconditionFailed, "step_outdated", conclude(4, "promote", step=1))


def test_a_verdict_needs_an_experiment_that_it_can_be_about() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.refused(PreconditionFailed, "change_outdated", conclude(1, "promote"))
    book.change(promote="1.0.0")
    book.refused(Refused, "no_experiment", conclude(2, "promote"))
    book.change(variant("1.0.0"), variant("1.1.0", 0, "shadow"))
    book.refused(Refused, "no_candidate", conclude(3, "promote"))
    book.do(conclude(3, "inconclusive"))
    book = experiment()
    book.refused(Refused, "no_canary", conclude(3, "proceed"))
    book.do(conclude(3, "promote"))
    error = book.refused(Refused, "conclusion_refused", conclude(3, "proceed"))
    assert codes(error.reasons) == {"already_concluded", "no_canary"}


@pytest.mark.parametrize(
    "one",
    [
        measured("9.0.0"),
        measured("1.1.0", float("inf")),
        measured("1.1.0", samples=-1),
        measured("1.1.0", limit=float("nan")),
        e.Measured("1.1.0", None, "", 1.0, 1, None),
    ],
)
def test_a_measurement_that_does_not_hold_is_refused(one: e.Measured) -> None:
    error = experiment().refused(Invalid, "invalid_measurement", conclude(3, "promote", measured=(one,)))
    assert error.reasons[0].field == "measured[0]"
