"""When a deployment counts as told of: each target once, its first word, and a newer change overtakes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from regista.cli.waiting import REPORTED, Deployed, exit_by
from regista.wire.resources import Event


def report(target: str, change: int = 4, state: str = "succeeded", **more: Any) -> Event:
    data = {"target": target, "change": change, "state": state, "detail": "d", "attempts": 1}
    given = {"stream": "endpoint/prod/fraud", "type": REPORTED} | more
    return Event(
        position=9,
        sequence=5,
        time=datetime(2026, 5, 4, tzinfo=UTC),
        actor="system:deployer",
        identity="system",
        reason=None,
        command_id="k",
        cause=None,
        previous_hash="",
        hash="",
        data=data,
        **given,
    )


def deployed(*targets: str) -> Deployed:
    return Deployed("Prod", "Fraud", 4, list(targets))


def test_a_target_tells_once_whatever_its_spelling() -> None:
    change = deployed("Web", "edge")
    assert change.take(report("web")) == "Web"
    assert change.take(report("WEB", state="failed")) is None
    assert (change.open, change.succeeded) == (["edge"], False)
    assert change.take(report("edge")) == "edge"
    assert change.succeeded
    assert [(told["target"], told["state"]) for told in change.told()] == [("Web", "succeeded"), ("edge", "succeeded")]


def test_what_is_told_of_others_says_nothing() -> None:
    change = deployed("web")
    for other in (
        report("web", 3),
        report("else"),
        report("web", stream="endpoint/dev/fraud"),
        report("web", type="regista.endpoint.traffic-changed.v1"),
    ):
        assert change.take(other) is None
    assert [told["state"] for told in change.told()] == ["unknown"]


def test_a_newer_change_that_a_target_tells_of_overtakes() -> None:
    change = deployed("web")
    assert change.take(report("web", 6)) == "web"
    [told] = change.told()
    assert (told["state"], told["change"], told["detail"]) == ("superseded", 4, "change 6 came after it")


def test_only_success_everywhere_is_exit_code_0() -> None:
    change = deployed("web")
    with pytest.raises(Exception, match="4"):
        exit_by(change.told())
    change.take(report("web"))
    exit_by(change.told())
