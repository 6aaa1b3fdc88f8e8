"""Experiments by themselves: what is measured goes into a verdict, the verdict into the log, and what follows is done once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.experimenting import ERRORS, STEPS, Trial, trial

from regista.client.inference import InferenceRecorder
from regista.domain.errors import PreconditionFailed


async def newest(endpoint: Trial) -> int:
    """The newest change of traffic."""
    sequences: list[int] = [event.sequence for event in await endpoint.until_event("traffic-changed")]
    return sequences[-1]


async def passed(endpoint: Trial, change: int) -> int:
    """Let a step of the canary pass: the change that follows."""
    await endpoint.effective(change)
    await endpoint.serve("1.0.0")
    await endpoint.serve("1.1.0")

    async def moved_on() -> bool:
        return await newest(endpoint) > change

    await endpoint.until_async(moved_on)
    return await newest(endpoint)


async def test_a_canary_with_good_metrics_becomes_the_champion_by_itself(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        change = await endpoint.begin()
        for step in range(1, len(STEPS) + 1):
            after = await passed(endpoint, change)
            conclusion = (await endpoint.until_event("experiment-concluded", step))[-1]
            assert (conclusion.data["change"], conclusion.data["step"]) == (change, step)
            assert conclusion.data["verdict"] == ("promote" if step == len(STEPS) else "proceed")
            assert {m["metric"] for m in conclusion.data["measured"]} == {"errors", "latency_p95"}
            assert conclusion.cause == f"endpoint/prod/fraud@{change}"
            moved = (await endpoint.until_event("traffic-changed", step + 2))[-1]
            assert moved.cause == f"endpoint/prod/fraud@{conclusion.sequence}"
            assert (moved.actor, conclusion.actor) == ("system:experiments", "system:experiments")
            assert "1.1.0 was served at" in moved.reason
            assert "errors of 1.1.0: 0 % of 600 samples" in moved.reason
            change = after
        [variant] = (await endpoint.until_event("traffic-changed", 5))[-1].data["variants"]
        assert (variant["version"], variant["role"], variant["weight"]) == ("1.1.0", "champion", 10_000)


async def test_what_does_harm_is_rolled_back_by_itself_for_the_metric(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        change = await passed(endpoint, await endpoint.begin())
        await endpoint.effective(change)
        await endpoint.serve("1.0.0")
        await endpoint.serve("1.1.0", errors=60)
        [rolled_back] = await endpoint.until_event("rolled-back")
        conclusion = (await endpoint.until_event("experiment-concluded", 2))[-1]
        assert (conclusion.data["verdict"], conclusion.data["change"]) == ("roll_back", change)
        assert rolled_back.cause == f"endpoint/prod/fraud@{conclusion.sequence}"
        assert rolled_back.reason.startswith("roll back: errors of 1.1.0: 10 % of 600 samples, certainly between 6.")
        assert [v["version"] for v in rolled_back.data["variants"]] == ["1.0.0"], "back to before the schedule"
        known = await endpoint.metrics()
        assert known.change is not None
        assert known.change.verdict is None


async def test_an_endpoint_that_is_not_automatic_is_told_and_left_alone(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish(automatic=False)
        change = await endpoint.begin()
        await endpoint.effective(change)
        await endpoint.serve("1.0.0")
        await endpoint.serve("1.1.0")
        [conclusion] = await endpoint.until_event("experiment-concluded")
        assert conclusion.data["verdict"] == "proceed"
        await endpoint.serve("1.1.0")
        await endpoint.settled()
        assert len(await endpoint.until_event("experiment-concluded")) == 1
        assert len(await endpoint.until_event("traffic-changed")) == 2
        known = (await endpoint.metrics()).change
        assert known is not None
        assert (known.verdict, known.acted) == ("proceed", None)


async def test_harm_after_a_good_verdict_that_could_not_be_followed_is_rolled_back(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish(guardrails=[ERRORS])
        change = await endpoint.begin()
        await endpoint.effective(change)
        await endpoint.client.archive("fraud", "1.1.0", reason="bad data", leave_empty=True)
        await endpoint.serve("1.1.0")
        await endpoint.until_event("experiment-concluded")
        await endpoint.settled()
        known = (await endpoint.metrics()).change
        assert known is not None
        assert (known.verdict, (known.acted or "")[:7]) == ("proceed", "refused")
        await endpoint.serve("1.1.0", errors=300)
        [rolled_back] = await endpoint.until_event("rolled-back")
        verdicts = [event.data["verdict"] for event in await endpoint.until_event("experiment-concluded")]
        assert verdicts == ["proceed", "roll_back"]
        assert "errors of 1.1.0: 25 %" in rolled_back.reason


async def test_nothing_is_concluded_from_too_few_samples(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        await endpoint.effective(await endpoint.begin())
        await endpoint.serve("1.0.0")
        await endpoint.serve("1.1.0", 199, 199)
        await endpoint.settled()
        known = await endpoint.metrics()
        assert known.change is not None
        assert known.change.verdict is None
        assert "nothing is concluded from fewer than 200" in " ".join(known.change.explanation)
        await endpoint.serve("1.1.0", 1)
        await endpoint.until_event("rolled-back")


async def test_only_what_was_served_after_a_change_took_effect_counts_for_it(tmp_path: Path) -> None:
    """Reports from before, and across, are those of the change before; what comes before its targets tell waits."""
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish(targets=["edge"])
        early = endpoint.report("1.1.0", 900, 900)
        change = await endpoint.begin()
        across = endpoint.report("1.1.0", 900, 900, seconds=60.0)
        await endpoint.client.report_deployment("prod", "fraud", target="edge", change=change, state="succeeded")
        assert (await endpoint.send(early, across)).status_code == 202
        await endpoint.effective(change)
        after = await endpoint.serve("1.1.0", 300)
        assert (await endpoint.send(after, after)).status_code == 202, "a copy counts for nothing"
        await endpoint.settled()
        canary = next(v for v in (await endpoint.metrics()).variants if v.version == "1.1.0")
        assert (canary.requests, canary.errors) == (300, 0)
        assert sum(window.requests for window in canary.windows) == 300 + 2 * 900, "live windows show all of it"


async def test_a_restart_in_the_middle_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        change = await endpoint.begin()
        await endpoint.effective(change)
        await endpoint.serve("1.0.0")
        last = await endpoint.serve("1.1.0", 499)
    async with trial(tmp_path, there=True) as endpoint:
        assert (await endpoint.send(last)).status_code == 202, "it may send again what it is not sure of"
        await endpoint.settled()
        assert len([e for e in await endpoint.events() if "concluded" in e.type]) == 0
        await endpoint.serve("1.1.0", 1)
        assert (await endpoint.until_event("traffic-changed", 3))[-1].data["canary"]["step"] == 2
    async with trial(tmp_path) as endpoint:
        await endpoint.settled()
        assert len(await endpoint.until_event("traffic-changed")) == 3
        assert len(await endpoint.until_event("experiment-concluded")) == 1


async def test_a_verdict_on_what_is_served_no_more_changes_nothing(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        change = await endpoint.begin()
        await endpoint.effective(change)
        await endpoint.client.change_traffic("prod", "fraud", {"1.0.0": 100}, reason="a person was faster")
        await endpoint.serve("1.1.0", errors=600)
        await endpoint.settled()
        with pytest.raises(PreconditionFailed):
            await endpoint.client.conclude_experiment("prod", "fraud", change=change, verdict="roll_back")
        assert [e.type for e in await endpoint.events() if "rolled" in e.type or "concluded" in e.type] == []


async def test_a_champion_that_is_asked_nothing_any_more_is_compared_by_what_it_did_before(tmp_path: Path) -> None:
    relative = {**ERRORS, "value": 1.5, "relative_to_champion": True}
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish(guardrails=[relative])
        first = await newest(endpoint)
        await endpoint.effective(first)
        await endpoint.serve("1.0.0", 2_000, 20)
        change = await endpoint.begin(steps=[{"weight": 100, "minimum_requests": 500}])
        await endpoint.effective(change)
        await endpoint.serve("1.1.0", 1_000, 10)
        [conclusion] = await endpoint.until_event("experiment-concluded")
        assert conclusion.data["verdict"] == "promote"
        assert conclusion.data["measured"][0]["limit"] == pytest.approx(0.015)


async def test_reports_that_cannot_be_counted_are_refused_with_every_reason(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        refused = await endpoint.send(endpoint.report("1.0.0"), endpoint.report("1.0.0", 10, 11, seconds=4_000.0))
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_report")
        assert {reason["field"] for reason in refused.json()["reasons"]} == {"reports[1].ended_at", "reports[1].errors"}
        assert all(variant.windows == [] for variant in (await endpoint.metrics()).variants), "all of them, or none"
        nowhere = await endpoint.http.get("/v1/endpoints/prod/nothing/metrics")
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "unknown_endpoint")


async def test_gauges_and_status_tell_of_variants(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        await endpoint.serve("1.0.0", 1_200, 12, ended_at=datetime.now(UTC) - timedelta(seconds=10))

        async def told() -> bool:
            endpoint.experiments.taken()
            return 'regista_variant_error_ratio{endpoint="fraud"' in (await endpoint.http.get("/metrics")).text

        await endpoint.until_async(told)
        text = (await endpoint.http.get("/metrics")).text
        labels = '{endpoint="fraud",environment="prod",region="",version="1.0.0"}'
        assert f"regista_variant_requests_per_second{labels} 20.0" in text
        assert f"regista_variant_error_ratio{labels} 0.01" in text
        shown = (await endpoint.http.get("/v1/status")).json()["components"]["experiments"]
        assert (shown["state"], shown["endpoints"], shown["commands_waiting"]) == ("judging", 1, 0)


async def test_who_serves_counts_with_the_recorder_and_reports_by_the_sdk(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish(guardrails=[])
        await endpoint.effective(await newest(endpoint))
        recorder = InferenceRecorder("1.0.0", endpoint.digests["1.0.0"], reporter="replica-7")
        for took in (0.0, 1e-9, *[0.01] * 90, *[0.2] * 10, 10_000.0):
            recorder.observe(took, error=took == 0.2, revenue=2.0)
        taken = recorder.take()
        for _ in range(2):
            assert (await endpoint.client.report_inference("prod", "fraud", [taken])).taken == 1
        [variant] = (await endpoint.client.endpoint_metrics("prod", "fraud")).variants
        assert (variant.requests, variant.errors) == (103, 10)
        found = {metric.metric: metric.value for metric in variant.metrics}
        assert found["latency_p50"] == pytest.approx(0.01, rel=0.091)
        assert found["latency_p95"] == pytest.approx(0.2, rel=0.091)
        assert found["revenue"] == 2.0
        empty = recorder.take()
        assert (empty["requests"], empty["latency"], empty["business"]) == (0, {}, {})
        assert (await endpoint.client.report_inference("prod", "fraud", [empty])).via == "database"
