"""Endpoints that follow a stage or an alias serve what it names, by a command of its own for each event that moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.deploying import FRAUD, WHY, World, world
from tests.support.working import eventually

from regista.domain import events as e
from regista.work.logged import Logged


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[World]:
    """Three versions in staging, ``prod`` that serves staging and production."""
    async with world(tmp_path / "data", tmp_path / "work.db") as made:
        await made.furnish()
        yield made


OTHER = {"environment": "prod", "name": "other", "model": "fraud"}


def changes(served: World) -> list[tuple[str, str | None]]:
    """The version that each change by a follower brought, and its cause."""
    return [(version_of(logged), logged.cause) for logged in served.events(e.TrafficChanged)]


def changes_after(served: World, number: int) -> list[str | None]:
    """The causes of the changes that came after so many."""
    return [logged.cause for logged in served.events(e.TrafficChanged)[number:]]


def version_of(logged: Logged) -> str:
    assert isinstance(logged.event, e.TrafficChanged)
    [variant] = logged.event.variants
    return variant.version


async def promote(served: World, ref: str, to: str = "production") -> str:
    """Promote, and what names the event."""
    answer = await served.send("POST", f"models/fraud/versions/{ref}/promote", {"to": to, **WHY})
    return f"model/fraud@{answer['sequence']}"


async def assign(served: World, ref: str, alias: str = "champion") -> str:
    answer: dict[str, Any] = await served.send("PUT", f"models/fraud/aliases/{alias}", {"version": ref, **WHY})
    return f"model/fraud@{answer['sequence']}"


async def test_a_promotion_and_a_rollback_are_followed_with_the_event_as_their_cause(served: World) -> None:
    await served.endpoint(follow="@production")
    async with served.deployer():
        causes = [await promote(served, "1")]
        await eventually(lambda: len(changes(served)) == 1)
        causes.append(await promote(served, "2"))
        await eventually(lambda: len(changes(served)) == 2)
        back = await served.send("POST", "models/fraud/rollback", WHY)
        await eventually(lambda: len(changes(served)) == 3)
    assert changes(served) == [
        ("1.0.0", causes[0]),
        ("1.1.0", causes[1]),
        ("1.0.0", f"model/fraud@{back['sequence']}"),
    ]
    first = served.events(e.TrafficChanged)[0]
    assert first.actor == "system:follower"
    assert first.reason == f"@production is 1.0.0 now, by {causes[0]}: because"


async def test_an_alias_is_followed_and_one_that_is_removed_leaves_what_is_served(served: World) -> None:
    await served.endpoint(follow="@champion")
    async with served.deployer() as deployer:
        cause = await assign(served, "2")
        await eventually(lambda: changes(served) == [("1.1.0", cause)])
        removed = await served.send("DELETE", "models/fraud/aliases/champion?reason=done")
        await eventually(lambda: deployer.consumers[1].status().position >= removed["position"])
        other = await assign(served, "3")
        await eventually(lambda: len(changes(served)) == 2)
        await eventually(lambda: deployer.follows.status().waiting == 0)
        assert deployer.follows.status().refused == 0
    assert changes(served)[1] == ("1.2.0", other)


async def test_what_is_there_already_is_followed_once_an_endpoint_begins_to(served: World) -> None:
    await promote(served, "1")
    async with served.deployer():
        await served.endpoint()
        await served.send("PATCH", FRAUD, {"follow": "@production"})
        await eventually(lambda: changes(served) == [("1.0.0", "endpoint/prod/fraud@2")])


async def test_what_the_rules_do_not_let_in_is_recorded_by_the_registry_and_served_stays(served: World) -> None:
    await served.send("PUT", "environments/prod", {"stages": ["production"]})
    await served.endpoint(follow="@champion")
    async with served.deployer() as deployer:
        cause = await assign(served, "2")
        await eventually(lambda: len(served.events(e.FollowRefused)) == 1)
        await eventually(lambda: deployer.follows.status().waiting == 0)
        assert deployer.follows.status().refused == 0
    [refused] = served.events(e.FollowRefused)
    assert refused.cause == cause
    assert changes(served) == []


async def test_moves_that_were_overtaken_while_the_registry_was_away_change_nothing(served: World) -> None:
    await served.endpoint(follow="@champion")
    async with served.deployer() as deployer:
        served.door.shut = True
        for ref in ("1", "2", "1"):
            await assign(served, ref)
        last = await assign(served, "3")
        await eventually(lambda: deployer.follows.status().waiting == 4)
        served.door.shut = False
        await eventually(lambda: deployer.follows.status().waiting == 0)
        assert changes(served) == [("1.2.0", last)]
        assert deployer.follows.status().refused == 0


async def test_what_happened_before_the_first_start_is_not_followed(served: World) -> None:
    await served.endpoint(follow="@production")
    await promote(served, "1")
    async with served.deployer():
        cause = await promote(served, "2")
        await eventually(lambda: changes(served) == [("1.1.0", cause)])


async def test_what_a_rollback_of_the_environment_brings_back_is_not_changed_by_a_follower(served: World) -> None:
    await served.endpoint(follow="@production")
    async with served.deployer():
        await promote(served, "1")
        await eventually(lambda: len(changes(served)) == 1)
        both = [{"version": "1.0.0", "weight": 90}, {"version": "1.1.0", "weight": 10}]
        compared = await served.send("PUT", "endpoints/prod/fraud/traffic", {"variants": both, **WHY})
        await promote(served, "2")
        await eventually(lambda: len(served.events(e.TrafficChanged)) == 3)
        await served.send("POST", "environments/prod/rollback", {"at": str(compared["position"]), **WHY})
        other = await served.send("POST", "endpoints", {**OTHER, "follow": "@production"})
        await eventually(lambda: [logged.stream for logged in served.events(e.TrafficChanged)[3:]] == [other["stream"]])
        after = await promote(served, "3")
        await eventually(lambda: changes_after(served, 4) == [after, after])
    assert len(served.events(e.EndpointRolledBack)) == 1
