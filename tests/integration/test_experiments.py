"""Experiments by themselves: what is measured goes into a verdict, the verdict into the log, and what follows is done once."""

from __future__ import annotations

from pathlib import Path

from tests.support.experimenting import STEPS, trial


async def test_a_canary_with_good_metrics_becomes_the_champion_by_itself(tmp_path: Path) -> None:
    async with trial(tmp_path) as endpoint:
        await endpoint.furnish()
        async with endpoint.judging():
            change = await endpoint.begin()
            for step in range(1, len(STEPS) + 1):
                await endpoint.effective(change)
                await endpoint.serve("1.0.0")
                await endpoint.serve("1.1.0")
                conclusion = (await endpoint.until_event("experiment-concluded", step))[-1]
                assert (conclusion.data["change"], conclusion.data["step"]) == (change, step)
                assert conclusion.data["verdict"] == ("promote" if step == len(STEPS) else "proceed")
                assert conclusion.cause == f"endpoint/prod/fraud@{change}"
                moved = (await endpoint.until_event("traffic-changed", step + 2))[-1]
                assert moved.cause == f"endpoint/prod/fraud@{conclusion.sequence}"
                assert (moved.actor, conclusion.actor) == ("system:experiments", "system:experiments")
                assert "1.1.0 was served at" in moved.reason
                assert "errors of 1.1.0: 0 % of 600 samples" in moved.reason
                change = moved.sequence
        [variant] = (await endpoint.until_event("traffic-changed", 5))[-1].data["variants"]
        assert (variant["version"], variant["role"], variant["weight"]) == ("1.1.0", "champion", 10_000)
