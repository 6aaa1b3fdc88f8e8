"""What holds for every kind of target, each beside its real counterpart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crash import PowerCut, cut_after
from tests.support.target_subjects import ENGINES, SUBJECTS, Subject, seen, variant, wanted

from regista.deployer.targets import Applied, Target, TargetFailed
from regista.domain.errors import Invalid

KINDS = [
    pytest.param(name, marks=[pytest.mark.engine(engine)] if (engine := ENGINES.get(name)) else []) for name in SUBJECTS
]
ALL = variant(1, 10_000)


@pytest.fixture(params=KINDS)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with SUBJECTS[request.param](tmp_path) as beside:
        yield beside


@pytest.fixture
async def target(subject: Subject) -> AsyncIterator[Target]:
    opened = subject.open()
    yield opened
    await opened.aclose()


async def split(target: Target, subject: Subject, change: int) -> Applied:
    """Serve a champion and a canary; where that takes two changes, the champion alone comes just before."""
    champion, canary = subject.versions()
    if subject.champion_first:
        await target.apply(wanted(change, replace(champion, weight=10_000)))
    return await target.apply(wanted(change, champion, canary))


async def observed_as(target: Target, subject: Subject, endpoint: str = "fraud") -> None:
    """What the target says is what its counterpart serves."""
    said = await target.observe("prod", endpoint)
    if subject.observable:
        assert said is not None
        assert len(set(said)) == len(said)
        assert set(said) == await subject.served(endpoint)
    else:
        assert said is None


async def test_what_is_wanted_is_served_and_told(subject: Subject, target: Target) -> None:
    champion, canary = subject.versions()
    applied = await split(target, subject, 1)
    assert await subject.served() == seen(champion, canary)
    assert set(applied.observed) == (seen(champion, canary) if subject.observable else set())
    await observed_as(target, subject)


async def test_nothing_is_served_before_anything_is_wanted(subject: Subject, target: Target) -> None:
    assert await subject.served() == set()
    await observed_as(target, subject)


async def test_the_same_change_again_is_no_change(subject: Subject, target: Target) -> None:
    champion, canary = subject.versions()
    first = await split(target, subject, 1)
    again = await split(target, subject, 1)
    assert set(again.observed) == set(first.observed)
    assert await subject.served() == seen(champion, canary)


async def test_a_newer_change_replaces_all_of_the_older_one(subject: Subject, target: Target) -> None:
    await split(target, subject, 1)
    await target.apply(wanted(2, ALL))
    assert await subject.served() == seen(ALL)
    await observed_as(target, subject)


async def test_an_older_change_is_refused_and_the_newer_one_stays(subject: Subject, target: Target) -> None:
    champion, canary = subject.versions()
    await split(target, subject, 5)
    with pytest.raises(TargetFailed) as refused:
        await target.apply(wanted(4, ALL))
    assert (refused.value.code, refused.value.retryable) == ("outdated", False)
    assert await subject.served() == seen(champion, canary)


async def test_an_older_change_is_refused_after_a_restart_too(subject: Subject, target: Target) -> None:
    champion, canary = subject.versions()
    await split(target, subject, 5)
    await target.aclose()
    again = subject.open()
    try:
        with pytest.raises(TargetFailed) as refused:
            await again.apply(wanted(4, ALL))
        assert refused.value.code == "outdated"
        await split(again, subject, 5)
        assert await subject.served() == seen(champion, canary)
        await observed_as(again, subject)
    finally:
        await again.aclose()


async def test_an_older_change_is_refused_after_everything_was_removed(subject: Subject, target: Target) -> None:
    await target.apply(wanted(4, ALL))
    await target.apply(wanted(5))
    with pytest.raises(TargetFailed, match="older"):
        await target.apply(wanted(4, ALL))
    assert await subject.served() == set()


async def test_a_change_of_another_log_is_not_compared(subject: Subject, target: Target) -> None:
    """A registry that was made anew counts from the beginning; it must not find its targets closed for ever."""
    await split(target, subject, 5)
    await target.apply(wanted(1, ALL, log="another"))
    assert await subject.served() == seen(ALL)


async def test_without_variants_nothing_is_served(subject: Subject, target: Target) -> None:
    await target.apply(wanted(1, ALL))
    applied = await target.apply(wanted(2))
    assert applied.observed == ()
    assert await subject.served() == set()
    await observed_as(target, subject)
    await target.apply(wanted(2))
    await target.apply(wanted(3, ALL))
    assert await subject.served() == seen(ALL)


async def test_endpoints_do_not_touch_each_other(subject: Subject, target: Target) -> None:
    await split(target, subject, 7)
    await target.apply(wanted(1, ALL, endpoint="Churn.v2"))
    await target.apply(wanted(8))
    assert await subject.served("churn.v2") == seen(ALL) or await subject.served("Churn.v2") == seen(ALL)
    assert await subject.served() == set()


async def test_what_fails_for_a_while_may_be_tried_again(subject: Subject, target: Target) -> None:
    champion, canary = subject.versions()
    with subject.down(), pytest.raises(TargetFailed) as failed:
        await split(target, subject, 1)
    assert failed.value.retryable
    await split(target, subject, 1)
    assert await subject.served() == seen(champion, canary)


async def test_what_a_retry_does_not_mend_is_not_tried_again(subject: Subject) -> None:
    with subject.refusing():
        target = subject.open()
        try:
            with pytest.raises(TargetFailed) as failed:
                await target.apply(wanted(1, ALL))
        finally:
            await target.aclose()
    assert not failed.value.retryable
    assert failed.value.detail


async def test_regions_and_shadows_keep_their_shares(subject: Subject, target: Target) -> None:
    variants = (
        variant(1, 9_999, region="eu"),
        variant(2, 1, "challenger", region="eu"),
        variant(3, 0, "shadow", mirror=2_550, region="eu"),
        variant(2, 10_000, region="us"),
        variant(3, 0, "shadow", mirror=10_000, region="us"),
    )
    if subject.shadows:
        applied = await target.apply(wanted(1, *variants))
        assert await subject.served() == seen(*variants)
        assert set(applied.observed) == (seen(*variants) if subject.observable else set())
    else:
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, *variants))
        assert not failed.value.retryable
        assert await subject.served() == set()


async def test_a_crash_leaves_the_old_or_the_new(subject: Subject) -> None:
    """At one step on the disk after the other: what is served is whole, and the change goes on after the restart."""
    champion, canary = subject.versions()
    states = [
        seen(ALL),
        seen(champion, canary),
        *([seen(replace(champion, weight=10_000))] if subject.champion_first else []),
    ]
    change, steps, ended = 1, 0, False
    while not ended:
        target = subject.open()
        await target.apply(wanted(change, ALL))
        await target.aclose()
        crashing = subject.open()
        try:
            with cut_after(steps, subject.folder):
                await split(crashing, subject, change + 1)
            ended = True
        except PowerCut:
            pass
        await crashing.aclose()
        restarted = subject.open()
        await restarted.observe("prod", "fraud")
        assert await subject.served() in states, f"after {steps} steps"
        await split(restarted, subject, change + 1)
        assert await subject.served() == seen(champion, canary)
        await restarted.aclose()
        change, steps = change + 2, steps + subject.stride
    assert steps > 1


async def test_settings_that_are_not_the_kinds_are_refused_with_every_reason(subject: Subject) -> None:
    subject.settings = {**subject.settings, "no_such_setting": 1, "nor_this": 2}
    subject.secrets = {**subject.secrets, "no_such_secret": "x"}
    with pytest.raises(Invalid) as refused:
        subject.open()
    assert refused.value.code == "invalid_target"
    assert {reason.field for reason in refused.value.reasons} >= {
        "settings.no_such_setting",
        "settings.nor_this",
        "secrets.no_such_secret",
    }
