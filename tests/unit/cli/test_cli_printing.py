"""What people and programs read."""

import io
import json
import re
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from regista.cli.exits import code_of
from regista.cli.printer import Printer, cell, clean
from regista.client import Unreachable
from regista.domain import errors
from regista.domain.errors import Reason
from regista.domain.events import EVENT_TYPES
from regista.domain.sentences import _SENTENCES, sentence


def test_nothing_that_is_printed_can_draw_on_the_terminal() -> None:
    assert clean("a\x1b[31mb\x07\r") == "a\\x1b[31mb\\x07\\r"
    assert clean("é\n日本") == "é\n日本"


def test_values_are_printed_as_people_read_them() -> None:
    values = [None, True, 0.123456789, datetime(2026, 5, 4, 12, tzinfo=UTC), {"a": 1.0}, [], ["x", None], "x\x1b"]
    expected = ["-", "yes", "0.123457", "2026-05-04 12:00:00Z", "a=1", "-", "x, -", "x\\x1b"]
    assert [cell(value) for value in values] == expected


def test_a_table_in_a_pipe_is_plain_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=False).table(("name", "value"), [("[red]a[/red]", "x" * 300), ("b", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name          value", f"[red]a[/red]  {'x' * 300}", "b             -"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_narrow_terminal_long_texts_give_way_and_times_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in {"COLUMNS": "50", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    moment = datetime(2026, 5, 4, 12, tzinfo=UTC)
    Printer(as_json=False).table(("position", "when", "why"), [(1, moment, "a long reason " * 4)])
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in terminal.getvalue().splitlines()]
    assert max(map(len, lines)) <= 50
    assert lines[1].startswith("1         2026-05-04 12:00:00Z  a long reason")
    assert len(lines) > 3


def test_what_is_quick_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Printer(as_json=False).progress("uploading") as report:
        assert report is not None
        report(1, 1)
    assert terminal.getvalue().strip() == ""


def test_an_empty_table_says_so_aside(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=False).table(("name",), [], empty="nothing there")
    assert capsys.readouterr() == ("", "nothing there\n")


def test_a_refusal_has_every_reason_and_every_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = [Reason("a", "first", "x", "do this"), Reason("b", "second", None, "do that"), Reason("c", "third")]
    error = errors.Refused("it cannot be", code="no", hint="or that", reasons=reasons)
    Printer(as_json=False).refusal(error)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "it cannot be  [no]", "  - x: first", "      do this", "  - second", "      do that", "  - third", "or that",
    ]  # fmt: skip
    Printer(as_json=True).refusal(error)
    problem = json.loads(capsys.readouterr().err)
    assert (problem["code"], [reason["code"] for reason in problem["reasons"]]) == ("no", ["a", "b", "c"])


def test_what_was_said_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    reason = Reason("a", "staging comes first", "to", "Promote it to staging.")
    Printer(as_json=False).refusal(
        errors.Refused("cannot go: staging comes first", hint="Promote it to staging.", reasons=[reason])
    )
    assert capsys.readouterr().err.splitlines() == [
        "cannot go: staging comes first  [refused]",
        "Promote it to staging.",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Refused("no"), 1),
        (errors.Invalid("no"), 1),
        (errors.NotFound("no"), 1),
        (errors.Damaged("no"), 1),
        (errors.Unavailable("later"), 3),
        (Unreachable("nobody there"), 3),
    ],
)
def test_exit_codes_tell_a_no_from_a_not_now(error: errors.RegistaError, code: int) -> None:
    assert code_of(error) == code


def test_every_event_has_its_words() -> None:
    assert set(_SENTENCES) == set(EVENT_TYPES)


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            "endpoint.traffic-changed",
            {
                "environment": "prod", "endpoint": "fraud", "canary": {"step": 1, "steps": [{}, {}]},
                "variants": [
                    {"version": "1.0.0", "role": "champion", "weight": 9_950, "mirror": 0, "region": "eu"},
                    {"version": "1.1.0", "role": "canary", "weight": 50, "mirror": 0, "region": "eu"},
                    {"version": "2.0.0", "role": "shadow", "weight": 0, "mirror": 10_000, "region": None},
                ],
            },
            ("changed the traffic of prod/fraud to 1.0.0 99.5 % in eu, 1.1.0 canary 0.5 % in eu,"
            " 2.0.0 shadow mirrored 100 % (step 1 of 2)"),
        ),
        ("endpoint.retired", {"environment": "prod", "endpoint": "fraud"}, "retired prod/fraud"),
        (
            "subscription.changed",
            {
                "subscription": "risk", "disabled": True, "secrets": [{"id": "2"}],
                "previous": {"disabled": False, "secrets": [{"id": "1"}]},
            },
            "disabled the subscription risk",
        ),
        (
            "subscription.changed",
            {
                "subscription": "risk", "disabled": False, "secrets": [{"id": "2"}],
                "previous": {"disabled": False, "secrets": [{"id": "1"}]},
            },
            "changed secrets of the subscription risk",
        ),
        ("version.registered", {"version": "1.1.0", "numbering": {"level": "minor"}}, "registered 1.1.0 (minor)"),
        (
            "version.promoted",
            {
                "version": "1.1.0", "from_stage": "staging", "to_stage": "production",
                "displaced": [{"version": "1.0.0", "to_stage": "archived"}],
            },
            "promoted 1.1.0 from staging to production, 1.0.0 to archived",
        ),
        (
            "version.rolled-back",
            {"version": "1.0.0", "stage": "production", "previous_version": "1.1.0"},
            "rolled production back from 1.1.0 to 1.0.0",
        ),
        ("model.updated", {"title": "T", "tags": {"a": "b"}, "owner": None}, "changed title, tags"),
        ("alias.assigned", {"alias": "a", "version": "2.0.0", "previous_version": None}, "pointed @a at 2.0.0"),
    ],
)  # fmt: skip
def test_events_are_told_in_words(kind: str, data: dict[str, Any], words: str) -> None:
    assert sentence(f"regista.{kind}.v1", data) == words


def test_an_event_of_a_later_release_is_told_by_its_type() -> None:
    assert sentence("regista.policy.published.v1", {}) == "regista.policy.published.v1"
