"""The deployer: what an endpoint wants is applied once, in order and only the newest of it, and what became of it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support import deploying
from tests.support.deploying import FRAUD, QUICK, World, observed, world
from tests.support.working import WorkPlace, eventually, losing_once, open_work

from regista.deployer.tables import ACTIONS, OUTCOMES
from regista.deployer.targets.base import TargetFailed
from regista.domain import events as e
from regista.domain.endpoint.commands import ObservedVariant

FLAKY = TargetFailed("it does not answer", retryable=True)


@pytest.fixture
async def served(tmp_path: Path, work_place: WorkPlace) -> AsyncIterator[World]:
    """``prod/fraud`` on the target ``edge``, with nothing served yet."""
    async with world(tmp_path / "data", work_place) as made:
        await made.furnish()
        await made.endpoint()
        yield made


async def states(place: WorkPlace) -> dict[int, str]:
    """What became of each action, by the change that it was for."""
    with closing(open_work(place)) as work:
        rows = await work.run(lambda c: c.execute(select(ACTIONS.c.position, ACTIONS.c.state)).all())
    return {row.position: row.state for row in rows}


async def test_a_change_is_applied_and_reported_with_its_cause(served: World) -> None:
    async with served.deployer():
        change = await served.serve(90, 10)
        await served.reported((change, "edge", "succeeded"))
    [wanted] = served.recorder.given
    assert (wanted.change, wanted.actor, wanted.reason) == (change, "tester", "because")
    assert wanted.idempotency_key == f"{served.app._store.log_id}:{wanted.position}:edge"
    [logged] = served.events(e.DeploymentReported)
    assert (logged.actor, logged.cause) == ("system:deployer", f"endpoint/prod/fraud@{change}")
    assert isinstance(report := logged.event, e.DeploymentReported)
    assert [(seen.version, seen.role, seen.weight) for seen in report.observed] == [
        ("1.0.0", "champion", 9000),
        ("1.1.0", "challenger", 1000),
    ]


async def test_only_the_newest_is_applied_and_what_runs_is_finished_first(served: World) -> None:
    async with served.deployer():
        served.recorder.gate.clear()
        first = await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
        passed = [await served.serve(100 - weight, weight) for weight in (10, 20, 30)]
        newest = await served.serve(50, 50)
        await served.reported(*((change, "edge", "superseded") for change in passed))
        assert served.recorder.entered == 1  # one at a time
        served.recorder.gate.set()
        await served.reported((first, "edge", "succeeded"), (newest, "edge", "succeeded"))
    assert served.recorder.changes() == [first, newest]
    with closing(open_work(served.place)) as work:
        outcomes = await work.run(lambda c: c.execute(select(OUTCOMES.c.actions)).scalars().all())
    assert list(outcomes) == [1] * 5


async def test_endpoints_do_not_wait_for_each_other(served: World) -> None:
    await served.endpoint("slow")
    async with served.deployer():
        served.recorder.held = {"slow"}
        served.recorder.gate.clear()
        await served.serve(100, name="slow")
        await eventually(lambda: served.recorder.entered == 1)
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        served.recorder.gate.set()


async def test_a_failure_that_passes_is_tried_again_with_the_same_key(served: World) -> None:
    served.recorder.failures = [FLAKY, OSError("no route"), TimeoutError()]
    async with served.deployer():
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
    assert served.recorder.entered == 4
    [logged] = served.events(e.DeploymentReported)
    assert isinstance(logged.event, e.DeploymentReported)
    assert logged.event.attempts == 4


async def test_a_failure_that_stays_is_reported_with_its_words_and_the_next_change_is_tried(served: World) -> None:
    served.recorder.failures = [TargetFailed("no such cluster", code="gone", retryable=False, hint="Make it.")]
    async with served.deployer() as deployer:
        refused = await served.serve(100)
        await served.reported((refused, "edge", "failed"))
        await eventually(lambda: deployer.runner.counts.failed == 1)
        change = await served.serve(50, 50)
        await served.reported((change, "edge", "succeeded"))
        await eventually(lambda: deployer.runner.counts.failed == 0)
    [logged, _] = served.events(e.DeploymentReported)
    assert isinstance(logged.event, e.DeploymentReported)
    assert logged.event.detail == "no such cluster Make it."


async def test_a_target_of_an_unknown_kind_fails_with_words_until_it_is_put_right(served: World) -> None:
    async with served.deployer():
        await served.send("PUT", "targets/edge", {"kind": "teleport"})
        change = await served.serve(100)
        await served.reported((change, "edge", "failed"))
        await served.send("PUT", "targets/edge", {"kind": "recorder", "settings": {"place": "here"}})
        await served.reported((change, "edge", "succeeded"))
    assert served.recorder.opened[-1].settings == {"place": "here"}
    [wanted] = served.recorder.given
    assert wanted.idempotency_key.endswith(":edge:prod/fraud")  # one change of a target concerns many endpoints


async def test_a_target_that_joins_gets_what_is_served_and_one_that_leaves_serves_nothing_of_it(served: World) -> None:
    async with served.deployer():
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        await served.send("PATCH", FRAUD, {"targets": ["core"]})
        await served.reported((change, "core", "succeeded"))
        await eventually(lambda: served.reports().count((change, "edge", "succeeded")) == 2)
        runs = served.recorder.runs
        assert runs["edge", "prod", "fraud"] == ()
        assert len(runs["core", "prod", "fraud"]) == 1
        await served.send(
            "PATCH", FRAUD, {"targets": ["core", "edge"]}
        )  # what comes back is newer than what it left with
        await eventually(lambda: len(runs["edge", "prod", "fraud"]) == 1)
        await served.send("DELETE", f"{FRAUD}?reason=done")
        await eventually(lambda: set(runs.values()) == {()})


async def test_what_does_not_succeed_in_time_is_reported_and_tried_further(served: World) -> None:
    tempo = replace(QUICK, pace=replace(QUICK.pace, late=0.2))
    served.recorder.failures = [FLAKY] * 12
    async with served.deployer(tempo) as deployer:
        change = await served.serve(100)
        await served.reported((change, "edge", "failed"))
        assert "it does not answer" in served.events(e.DeploymentReported)[0].event.detail  # type: ignore[union-attr]
        await eventually(lambda: deployer.runner.counts.overdue == 1)
        [part, _] = deployer.parts_of(hindering=True)
        assert (hindrance := part.state().hindrance) is not None
        assert hindrance.code == "deployments_overdue"
        await served.reported((change, "edge", "succeeded"))
        await eventually(lambda: deployer.runner.counts.overdue == 0)


async def test_a_target_that_is_removed_and_does_not_answer_is_not_tried_for_ever(served: World) -> None:
    tempo = replace(QUICK, pace=replace(QUICK.pace, late=0.2))
    async with served.deployer(tempo) as deployer:
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        served.recorder.failures = [FLAKY] * 10_000
        await served.send("DELETE", f"{FRAUD}?reason=done")
        await served.send("DELETE", "targets/edge?reason=gone")
        await eventually(lambda: deployer.runner.counts.pending + deployer.runner.counts.running == 0)
        await eventually(lambda: "not tried again" in str(served.events(e.DeploymentReported)[-1].event))


async def test_a_change_of_what_runs_is_told_once_and_unknown_digests_come_to_light(served: World) -> None:
    async with served.deployer(replace(QUICK, look_every=0.05)):
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
        place = ("edge", "prod", "fraud")
        as_deployed = served.recorder.runs[place]
        served.recorder.runs[place] = (ObservedVariant(f"sha256:{'e' * 64}", "champion", 10_000),)
        await served.reported((change, "edge", "failed"))
        served.recorder.runs[place] = as_deployed
        await eventually(lambda: served.reports()[-1] == (change, "edge", "succeeded") and len(served.reports()) == 3)
        assert served.recorder.entered == 1  # it is told, and nothing is done about it
    drifted = served.events(e.DeploymentReported)[1].event
    assert isinstance(drifted, e.DeploymentReported)
    assert [seen.version for seen in drifted.observed] == [None]


async def test_what_a_target_says_oddly_does_not_keep_the_outcome_from_being_told(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd: list[dict[str, Any]] = [
        {"region": "eu\nus"}, {"region": "e" * 200}, {"artifact_digest": "latest"}, {"weight": -1},
        {"mirror": 10_001}, {"role": "king"},
    ]  # fmt: skip

    def twisted(variants: Sequence[e.Variant]) -> tuple[ObservedVariant, ...]:
        (seen,) = observed(variants)
        return seen, *(replace(seen, **fields) for fields in odd * 200)

    monkeypatch.setattr(deploying, "observed", twisted)
    async with served.deployer():
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
    [logged] = served.events(e.DeploymentReported)
    assert isinstance(told := logged.event, e.DeploymentReported)
    assert len(told.observed) == 1
    assert "1200 of 1201 variants" in told.detail


async def test_reports_wait_for_a_registry_that_is_away(served: World) -> None:
    async with served.deployer() as deployer:
        served.door.shut = True
        change = await served.serve(100)
        await eventually(lambda: served.recorder.changes() == [change])
        await eventually(lambda: deployer.reports.status().error == "away")
    assert served.reports() == []
    served.door.shut = False
    async with served.deployer():  # another process
        await served.reported((change, "edge", "succeeded"))
    assert served.recorder.entered == 1


async def test_what_was_under_way_when_the_process_ended_is_tried_again_with_the_same_key(served: World) -> None:
    tempo = replace(QUICK, pace=replace(QUICK.pace, grace=0.01))
    served.recorder.gate.clear()
    async with served.deployer(tempo):
        change = await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
    assert list((await states(served.place)).values()) == ["pending"]  # nobody has to wait for it
    served.recorder.gate.set()
    async with served.deployer():
        await served.reported((change, "edge", "succeeded"))
    assert (served.recorder.entered, len(served.recorder.given)) == (2, 1)


async def test_what_was_under_way_gives_way_to_what_came_meanwhile(served: World) -> None:
    tempo = replace(QUICK, pace=replace(QUICK.pace, grace=0.01))
    served.recorder.gate.clear()
    async with served.deployer(tempo):
        first = await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
    newest = await served.serve(50, 50)
    served.recorder.gate.set()
    async with served.deployer():
        await served.reported((newest, "edge", "succeeded"), (first, "edge", "superseded"))
    assert served.recorder.changes() == [newest]


async def test_a_second_deployer_stands_by_and_takes_over(served: World) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(served.deployer())
        async with served.deployer(leads=False) as second:
            change = await served.serve(100)
            await served.reported((change, "edge", "succeeded"))
            assert not second.consumers[0].is_leading
            await first.aclose()
            await eventually(lambda: second.consumers[0].is_leading)
            newest = await served.serve(50, 50)
            await served.reported((newest, "edge", "succeeded"))
    assert served.recorder.changes() == [change, newest]


async def test_a_work_database_that_was_lost_fires_nothing_old(served: World, tmp_path: Path) -> None:
    async with served.deployer():
        first = await served.serve(100)
        await served.reported((first, "edge", "succeeded"))
    served.place = tmp_path / "another.db"
    async with served.deployer():
        change = await served.serve(50, 50)
        await served.reported((change, "edge", "succeeded"))
    assert served.recorder.changes() == [first, change]


async def test_from_deploys_what_was_before_the_first_start(served: World, tmp_path: Path) -> None:
    first = await served.serve(100)
    second = await served.serve(50, 50)
    served.place = tmp_path / "another.db"
    async with served.deployer(start=served.app._store.max_position() - 1):
        await served.reported((second, "edge", "succeeded"))
    assert served.recorder.changes()[-1] == second
    assert set(served.recorder.changes()) <= {first, second}


async def test_what_is_long_past_is_forgotten_and_never_done_again(served: World) -> None:
    async with served.deployer():
        for weight in (90, 80, 70):
            change = await served.serve(weight, 100 - weight)
            await served.reported((change, "edge", "succeeded"))
    changes = served.recorder.changes()
    forgetful = replace(QUICK, pace=replace(QUICK.pace, kept=0.0))

    async def left() -> tuple[int, int]:
        with closing(open_work(served.place)) as work:
            return await work.run(
                lambda c: (len(c.execute(select(ACTIONS)).all()), len(c.execute(select(OUTCOMES)).all()))
            )

    assert await left() == (3, 3)
    with losing_once("DELETE FROM deployer_actions") as lost:
        async with served.deployer(forgetful) as deployer:
            await eventually(lambda: lost and deployer.runner._pruned)
    assert await left() == (1, 0)
    async with served.deployer():
        newest = await served.serve(100)
        await served.reported((newest, "edge", "succeeded"))
    assert served.recorder.changes() == [*changes, newest]
