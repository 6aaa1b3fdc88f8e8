"""Finding the end of a log whose views are behind: in the end, and with the reason where they stand still."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from tests.support.event_source import LOG_ID

import regista
from regista.bus.subscriber.interest import EVERYTHING
from regista.bus.subscriber.sse_source import SseSource
from regista.client import retry
from regista.client.settings import Settings
from regista.domain.errors import RegistaError


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_CEILING", 0.0)


class Registry:
    """A registry to which somebody writes ten events between any two requests; its views are ``behind`` by many."""

    def __init__(self, *, behind: int = 50) -> None:
        self.log_id = LOG_ID
        self.end = 1000
        self.behind = behind
        self.view: dict[str, Any] = {}
        self.projector: dict[str, Any] = {}
        self.asked: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.end += 10
        seen = self.end - self.behind
        if request.url.path == "/v1/status":
            view = {"name": "events", "version": 1, "position": seen, "lag": self.behind, "state": "live", **self.view}
            return httpx.Response(
                200,
                json={
                    "version": "1",
                    "log_id": self.log_id,
                    "log_position": self.end,
                    "head": {"position": seen, "count": seen, "digest": "00"},
                    "views": [view],
                    "writes": "ok",
                    "started_at": "2026-05-01T00:00:00Z",
                    "components": {"projector": self.projector},
                },
            )
        wanted = int(request.url.params["min_position"])
        self.asked.append(wanted)
        if wanted > seen:
            problem = {"type": "about:blank", "title": "t", "status": 503, "code": "not_visible_yet", "detail": "late"}
            return httpx.Response(503, json=problem, headers={"retry-after": "0"})
        until = int(request.url.params.get("after", seen + 1)) - 1
        return httpx.Response(200, json={"items": [_event(min(seen, until))], "next": None})


def _event(position: int) -> dict[str, Any]:
    return {
        "position": position,
        "stream": "model/a",
        "sequence": position,
        "type": "regista.model.updated.v1",
        "time": "2026-05-01T00:00:00Z",
        "actor": "ann",
        "identity": "asserted",
        "reason": None,
        "command_id": f"c{position}",
        "cause": None,
        "previous_hash": "00" * 32,
        "hash": f"{position:064x}",
        "data": {},
    }


def subscribed(registry: Registry, **options: Any) -> regista.Subscriber:
    source = SseSource(Settings("http://registry"), EVERYTHING, transport=httpx.MockTransport(registry))
    return regista.Subscriber(source=source, **options)


async def test_a_view_that_stays_behind_keeps_nobody_from_the_end_that_was_there_when_it_was_asked_for() -> None:
    registry = Registry()
    async with asyncio.timeout(10), subscribed(registry) as subscriber:
        assert subscriber.position >= 1010
    assert set(registry.asked) == {1010}
    assert len(registry.asked) > 1


async def test_behind_a_position_only_that_one_has_to_be_visible() -> None:
    registry = Registry()
    async with subscribed(registry, from_=900) as subscriber:
        assert subscriber.position == 900
    assert set(registry.asked) == {900}


async def test_the_end_of_another_log_is_another_end() -> None:
    registry = Registry(behind=10_000)
    told: list[RegistaError | None] = []

    def hear(error: RegistaError | None) -> None:
        told.append(error)
        if len(told) == 3:
            registry.log_id, registry.end, registry.behind = "another", 12, 0

    async with asyncio.timeout(10), subscribed(registry, on_outage=hear) as subscriber:
        assert subscriber.position < 100
    assert registry.asked[0] > 1000
    assert registry.asked[-1] < 100


@pytest.mark.parametrize(
    ("view", "projector", "code", "hint"),
    [
        ({"state": "degraded", "error": "cannot apply 7", "hint": "skip 7"}, {}, "view_degraded", "skip 7"),
        ({}, {"error": "no projector works", "hint": "start one"}, "views_behind", "start one"),
        ({}, {"error": None, "hint": None}, "not_visible_yet", None),
    ],
)
async def test_where_the_views_stand_still_the_outage_says_what_the_registry_says(
    view: dict[str, Any], projector: dict[str, Any], code: str, hint: str | None
) -> None:
    registry = Registry(behind=10_000)
    registry.view, registry.projector = view, projector
    with pytest.raises(RegistaError) as given_up:
        async with subscribed(registry, give_up_after=0.0):
            pass
    assert (given_up.value.code, given_up.value.hint) == (code, hint)
    if error := view.get("error") or projector.get("error"):
        assert error in given_up.value.detail
