"""Reading what is to be served: variants, schedules, guardrails, settings; and secrets, which no argument may hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from regista.cli import parse_serving as parse


def test_a_set_is_read_as_it_is_written() -> None:
    assert parse.live_set(["1.4.0=90", "@champion=7.5", "stage:x=2.5%"], None) == [
        {"version": "1.4.0", "weight": 90},
        {"version": "@champion", "weight": 7.5},
        {"version": "stage:x", "weight": 2.5},
    ]
    assert parse.shadow("2.0.0") == {"version": "2.0.0", "role": "shadow"}
    assert parse.shadow("2.0.0=50") == {"version": "2.0.0", "role": "shadow", "mirror": 50}


def test_one_without_a_weight_gets_what_is_left() -> None:
    assert [v["weight"] for v in parse.live_set(["1", "2=33.33"], None)] == [66.67, 33.33]
    assert [v["weight"] for v in parse.live_set(["1"], None)] == [100]
    assert [v["weight"] for v in parse.live_set(["1", "2=120"], None)] == [0, 120], "the registry says what is wrong"
    with pytest.raises(typer.BadParameter, match=r"1, 2 have no weight"):
        parse.live_set(["1", "2", "3=5"], None)


def test_a_canary_comes_in_with_its_first_step() -> None:
    schedule = parse.canary("1.5.0:5/10m/500,25/1h,50//9, 100")
    assert schedule == (
        "1.5.0",
        [
            {"weight": 5, "hold_seconds": 600, "minimum_requests": 500},
            {"weight": 25, "hold_seconds": 3600, "minimum_requests": 0},
            {"weight": 50, "hold_seconds": 0, "minimum_requests": 9},
            {"weight": 100, "hold_seconds": 0, "minimum_requests": 0},
        ],
    )
    canary = {"version": "1.5.0", "weight": 5, "role": "canary"}
    assert parse.live_set(["1.4.0"], schedule) == [{"version": "1.4.0", "weight": 95}, canary]
    assert parse.live_set(["1.4.0=95", "1.5.0=5"], schedule)[1] == canary
    assert parse.canary("stage:x:5,100")[0] == "stage:x"


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("errors<=0.02 min=500", ("errors", "maximum", 0.02, False, 500)),
        ("latency_p95 <= 1.2x champion min=30", ("latency_p95", "maximum", 1.2, True, 30)),
        ("revenue>=0.9 x Champion", ("revenue", "minimum", 0.9, True, 100)),
        ("max_x>=1e-3", ("max_x", "minimum", 0.001, False, 100)),
    ],
)
def test_a_guardrail_is_read_as_it_is_written(text: str, bound: tuple[object, ...]) -> None:
    names = ("metric", "limit", "value", "relative_to_champion", "minimum_samples")
    assert parse.guardrail(text) == dict(zip(names, bound, strict=True))


def test_settings_are_json_where_they_are_json_and_lead_into_objects(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text('{"port": 80, "tls": {"on": true}}')
    assert parse.settings(file, ["port=81", "host=a=b", "tls.name=x", "hosts=[1]"]) == {
        "port": 81,
        "host": "a=b",
        "tls": {"on": True, "name": "x"},
        "hosts": [1],
    }
    assert parse.settings(None, None) == {}


def test_secrets_come_from_files_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("other \r\n"))
    assert parse.secrets([f"a=@{tmp_path / 'token'}", "b=-"]) == {"a": "s3cret", "b": "other "}
    assert parse.secrets(None) is None
    assert parse.secrets(None, ["c"]) == {"c": None}
    with pytest.raises(typer.BadParameter, match="forget"):
        parse.secrets([f"a=@{tmp_path / 'token'}"], ["a"])


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parse.endpoint, "prod"),
        (parse.endpoint, "prod/fraud/eu"),
        (parse.endpoint, "/fraud"),
        (parse.variant, "1.0.0=ten"),
        (parse.variant, "=10"),
        (parse.canary, "1.5.0"),
        (parse.canary, "1.5.0:5/10x"),
        (parse.canary, "1.5.0:5/10m/many"),
        (parse.canary, "1.5.0:,5"),
        (parse.guardrail, "errors<0.02"),
        (parse.guardrail, "errors<=low"),
        (parse.guardrail, "errors<=0.02 min=few"),
        (parse.guardrail, "errors<=0.02x baseline"),
        (lambda text: parse.settings(Path(text), None), "/no/such/file"),
        (lambda text: parse.settings(None, [text, "a.b=1"]), "a=1"),
        (parse.secret, "in-the-open"),
        (parse.secret, "@/no/such/file"),
        (lambda text: parse.secrets([text, "b=-"]), "a=-"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        read(text)
    assert "in-the-open" not in caught.value.message
