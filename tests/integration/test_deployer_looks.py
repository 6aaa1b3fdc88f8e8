"""Looks at what runs: what is gone comes to light, what comes and goes does not fill the log, and a start looks at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import deploying
from tests.support.deploying import QUICK, RecordingTarget, World, observed, world
from tests.support.working import eventually

from regista.deployer.targets.base import TargetFailed
from regista.domain import events as e
from regista.domain.endpoint.commands import ObservedVariant

OFTEN = replace(QUICK, look_every=0.02)
EDGE = ("edge", "prod", "fraud")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[World]:
    """``prod/fraud`` on the target ``edge``, with nothing served yet."""
    async with world(tmp_path / "data", tmp_path / "work.db") as made:
        await made.furnish()
        await made.endpoint()
        yield made


async def test_what_is_deployed_is_looked_at_when_a_deployer_starts(served: World) -> None:
    async with served.deployer():
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
    served.recorder.runs.clear()
    async with served.deployer():  # which looks every half minute
        await served.reported((change, "edge", "failed"))


async def test_what_is_deployed_once_more_is_told_and_looked_at_once_more(served: World) -> None:
    """``--from`` deploys what was deployed before: what becomes of it this time is no copy of what was told then."""
    async with served.deployer(OFTEN):
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        as_deployed, served.recorder.runs[EDGE] = served.recorder.runs[EDGE], ()
        await eventually(lambda: len(served.reports()) == 2)
        served.recorder.runs[EDGE] = as_deployed
        await eventually(lambda: len(served.reports()) == 3)
    async with served.deployer(OFTEN, start=served.recorder.given[0].position):
        await eventually(lambda: len(served.reports()) == 4)
        served.recorder.runs[EDGE] = ()
        await eventually(lambda: len(served.reports()) == 5)
    assert [state for _, _, state in served.reports()[-2:]] == ["succeeded", "failed"]


async def test_a_target_that_cannot_be_asked_any_more_is_told_of_once(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def gone(*_: object) -> None:
        nonlocal looks
        looks += 1
        raise TargetFailed("nobody answers there", retryable=True)

    async with served.deployer(OFTEN):
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(RecordingTarget, "observe", gone)
            await served.reported((change, "edge", "failed"))
            told_after, told = looks, len(served.reports())
            await eventually(lambda: looks > told_after + 3)
            assert len(served.reports()) == told
        await eventually(lambda: served.reports()[-1] == (change, "edge", "succeeded"))
    assert told_after >= 3
    [_, logged, _] = served.events(e.DeploymentReported)
    assert isinstance(logged.event, e.DeploymentReported)
    assert "nobody answers there" in logged.event.detail


async def test_what_comes_and_goes_is_looked_at_ever_more_rarely(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    async def now_and_then(*_: object) -> Sequence[ObservedVariant]:
        looks.append(time.monotonic())
        return served.recorder.runs[EDGE] if len(looks) % 2 else ()

    monkeypatch.setattr(RecordingTarget, "observe", now_and_then)
    async with served.deployer(OFTEN):
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        await eventually(lambda: len(looks) == 8)
    assert looks[7] - looks[6] > 16 * OFTEN.look_every


async def test_a_target_of_one_region_serves_what_is_wanted_when_it_serves_that_region(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.send("PUT", "environments/prod", {"stages": ["staging", "production"], "regions": ["eu", "us"]})
    monkeypatch.setattr(
        deploying, "observed", lambda variants: tuple(v for v in observed(variants) if v.region == "eu")
    )
    async with served.deployer(OFTEN):
        variants = [{"version": "1", "weight": 100, "region": region} for region in ("eu", "us")]
        await served.send("PUT", "endpoints/prod/fraud/traffic", {"variants": variants, "reason": "two of them"})
        await eventually(lambda: len(served.reports()) == 1)
        as_deployed, served.recorder.runs[EDGE] = served.recorder.runs[EDGE], ()
        await eventually(lambda: len(served.reports()) == 2)
        served.recorder.runs[EDGE] = as_deployed
        await eventually(lambda: len(served.reports()) == 3)
    assert [state for _, _, state in served.reports()] == ["succeeded", "failed", "succeeded"]
