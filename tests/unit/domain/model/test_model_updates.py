"""What may be said of a version after its registration: description, completion, evaluations, checks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.support.domain_book import TRAINED, Book, artifact, codes, complete, fields

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain import metadata as m
from regista.domain.errors import Invalid, NotFound, Refused
from regista.domain.model import KnownArtifact
from regista.domain.model.lookup import find_version

ORIGIN = e.Origin("mlflow", "fraud/7")


def update(**changes: Any) -> c.UpdateVersion:
    return c.UpdateVersion("fraud", "1", **changes)


def imported(**changes: Any) -> Book:
    """A book with one import, complete but for what is changed."""
    book = Book()
    book.do(complete(version="1.0.0", origin=ORIGIN, **changes), known=KnownArtifact(artifact("bytes")))
    return book


def incomplete(book: Book) -> tuple[str, ...]:
    return find_version(book.state, "1").incomplete


def test_description_tags_and_model_card_may_change() -> None:
    book = Book("1.0.0")
    event = book.do(update(description="", tags={"b": "2", "a": None}, model_card="# Card\n"))
    assert event == e.VersionUpdated(
        "fraud", "1.0.0", 1, "", tags_set={"b": "2"}, tags_removed=("a",), model_card="# Card\n"
    )


def test_an_update_that_names_nothing_is_refused() -> None:
    Book("1.0.0").refused(Invalid, "nothing_to_change", update())
    Book("1.0.0").refused(Invalid, "nothing_to_change", update(tags={}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", m.Code(commit="0000")),
        ("datasets", (m.Dataset("other", "1"),)),
        ("metrics", {"auc": 0.99}),
        ("author", "grace"),
        ("trained_at", TRAINED),
    ],
)
def test_what_was_recorded_stays_as_it_was(field: str, value: object) -> None:
    error = Book("1.0.0").refused(Refused, "already_recorded", update(**{field: value}))
    assert fields(error.reasons) == {field}


def test_an_incomplete_import_is_not_promoted() -> None:
    error = imported(author=None).refused(Refused, "incomplete", c.Promote("fraud", "1", "staging"))
    assert fields(error.reasons) == {"author"}


def test_an_incomplete_import_is_completed_in_steps_and_then_promoted() -> None:
    book = imported(author=None, metrics={})
    event = book.do(update(author="ada"))
    assert isinstance(event, e.VersionUpdated)
    assert event.supplied == e.Supplied(author="ada")
    assert event.incomplete == incomplete(book) == ("metrics",)
    book.refused(Refused, "incomplete", c.Promote("fraud", "1", "staging"))
    book.do(update(metrics={"auc": 1}))
    assert incomplete(book) == ()
    book.promote("1", "staging")


def test_what_was_completed_stays_as_it_is() -> None:
    book = imported(author=None)
    book.do(update(author="ada"))
    book.refused(Refused, "already_recorded", update(author="grace"))


def test_what_an_import_lacks_may_be_waived_with_a_reason_only() -> None:
    book = imported(author=None, datasets=())
    book.refused(Invalid, "reason_required", update(waive=("author",)), None)
    event = book.do(update(waive=("datasets", "author", "author")))
    assert isinstance(event, e.VersionUpdated)
    assert event.waived == ("author", "datasets")
    book.promote("1", "staging")


def test_an_import_without_artifact_can_be_waived_and_the_refusal_says_so() -> None:
    book = Book()
    book.do(complete(version="1.0.0", origin=ORIGIN))
    error = book.refused(Refused, "incomplete", c.Promote("fraud", "1", "staging"))
    assert "waive" in (error.hint or "")
    book.do(update(waive=("artifact",)))
    book.promote("1", "staging")


def test_only_what_is_open_can_be_waived() -> None:
    imported(author=None).refused(Refused, "already_recorded", update(waive=("metrics",)))
    imported(author=None).refused(Refused, "already_recorded", update(waive=("reviewer",)))


def test_nothing_is_both_supplied_and_waived() -> None:
    error = imported(author=None).refused(Invalid, "invalid_metadata", update(author="ada", waive=("author",)))
    assert codes(error.reasons) == {"supplied_and_waived"}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("code", {"code": m.Code(repository="git@host:fraud")}),
        ("author", {"author": ""}),
        ("author", {"author": " "}),
        ("metrics.auc", {"metrics": {"auc": float("nan")}}),
        ("datasets[0]", {"datasets": (m.Dataset("transactions"),)}),
        ("trained_at", {"trained_at": datetime(2026, 5, 4)}),  # noqa: DTZ001  # what is refused
    ],
)
def test_what_completes_must_hold(field: str, changes: dict[str, Any]) -> None:
    book = imported(author=None, code=None, metrics={}, datasets=(), trained_at=None)
    error = book.refused(Invalid, "invalid_metadata", update(**changes))
    assert field in fields(error.reasons)
    assert all(reason.hint for reason in error.reasons)


def test_evaluations_add_metrics() -> None:
    book = Book("1.0.0")
    event = book.do(c.RecordEvaluation("fraud", "1", {"auc": 1}, m.Dataset("2026-06", "1"), "country=IT"))
    assert event == e.EvaluationRecorded("fraud", "1.0.0", 1, m.Dataset("2026-06", "1"), "country=IT", {"auc": 1.0})
    assert find_version(book.state, "1").touched == book.state.sequence


@pytest.mark.parametrize(
    ("metrics", "code"), [({}, "empty"), ({"a": float("nan")}, "not_finite"), ({"a": 10**400}, "not_finite")]
)
def test_an_evaluation_has_finite_metrics(metrics: dict[str, float], code: str) -> None:
    error = Book("1.0.0").refused(Invalid, "invalid_metadata", c.RecordEvaluation("fraud", "1", metrics))
    assert codes(error.reasons) == {code}


def test_the_data_set_of_an_evaluation_may_be_a_name_alone_but_not_an_empty_one() -> None:
    book = Book("1.0.0")
    book.do(c.RecordEvaluation("fraud", "1", {"auc": 1.0}, m.Dataset("holdout")))
    error = book.refused(Invalid, "invalid_metadata", c.RecordEvaluation("fraud", "1", {"auc": 1.0}, m.Dataset(" ")))
    assert [(reason.field, reason.code) for reason in error.reasons] == [("dataset.name", "empty_name")]


def test_the_newest_status_of_a_check_counts_and_the_one_before_is_told() -> None:
    book = Book("1.0.0")
    said = [book.do(c.ReportCheck("fraud", "1", "bias", s)) for s in ("running", "failed", "passed")]
    assert [event.previous_status for event in said if isinstance(event, e.CheckReported)] == [
        None,
        "running",
        "failed",
    ]
    assert find_version(book.state, "1").checks == {"bias": "passed"}


def test_a_check_has_a_name() -> None:
    Book("1.0.0").refused(Invalid, "bad_name", c.ReportCheck("fraud", "1", "", "passed"))


def test_an_unknown_version_is_not_found() -> None:
    for command in (
        c.UpdateVersion("fraud", "9", description="x"),
        c.RecordEvaluation("fraud", "9", {"a": 1.0}),
        c.ReportCheck("fraud", "9", "bias", "passed"),
    ):
        Book("1.0.0").refused(NotFound, "unknown_version", command)
