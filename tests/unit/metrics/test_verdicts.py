"""Guardrails and schedules: what goes on, what is rolled back, and what is left open."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.inference import digest_of

from regista.domain.events import Canary, CanaryStep, Guardrail, Role, Variant
from regista.metrics.guardrails import Served, judge
from regista.metrics.histogram import of_report
from regista.metrics.schedule import Conclusion, Trial, conclude
from regista.metrics.totals import Totals
from regista.wire.inference import BusinessSum, LatencyCounts

ERRORS = Guardrail("errors", "maximum", False, 0.02, 500)
LATENCY = Guardrail("latency_p95", "maximum", True, 1.2, 500)


def counted(
    requests: int, errors: int = 0, took: float = 0.05, revenue: tuple[int, float, float] | None = None
) -> Totals:
    latency = of_report(LatencyCounts((took / 2, took), (0, requests, 0)))
    return Totals(requests, errors, latency, {} if revenue is None else {"revenue": BusinessSum(*revenue)})


def served(totals: Totals, version: str = "1.1.0", seconds: float = 100.0) -> Served:
    return Served(version, None, totals, seconds)


@pytest.mark.parametrize(
    ("requests", "errors", "state"),
    [(499, 400, "waiting"), (500, 5, "holds"), (500, 12, "undecided"), (500, 40, "broken"), (100_000, 2_500, "broken")],
)
def test_an_absolute_maximum(requests: int, errors: int, state: str) -> None:
    found = judge(ERRORS, served(counted(requests, errors)), None)
    assert found.state == state, found.said
    assert found.measured is not None
    assert (found.measured.value, found.measured.samples, found.measured.limit) == (errors / requests, requests, 0.02)


def test_a_sentence_says_what_was_measured_and_what_is_allowed() -> None:
    said = judge(ERRORS, served(counted(1000, 100)), None).said
    assert said.startswith("errors of 1.1.0: 10 % of 1,000 samples, certainly between 7.")
    assert said.endswith("allowed is at most 2 %")
    relative = judge(LATENCY, served(counted(1000, took=0.4)), served(counted(1000), "1.0.0")).said
    assert "allowed is at most" in relative
    assert "1.2 times the champion's" in relative


@pytest.mark.parametrize(
    ("own", "champion", "state"),
    [(0.05, 0.05, "holds"), (0.4, 0.05, "broken"), (0.05, 0.4, "holds")],
)
def test_a_latency_relative_to_the_champion(own: float, champion: float, state: str) -> None:
    assert judge(LATENCY, served(counted(1000, took=own)), served(counted(1000, took=champion))).state == state


def test_relative_rates_between_equals_hold_with_patience() -> None:
    guardrail = Guardrail("errors", "maximum", True, 1.0, 100)
    assert judge(guardrail, served(counted(150, 3)), served(counted(150, 2))).state == "undecided"
    assert judge(guardrail, served(counted(400, 5)), served(counted(400, 4))).state == "holds"
    assert judge(guardrail, served(counted(400, 80)), served(counted(400, 4))).state == "broken"
    assert judge(guardrail, served(counted(400, 0)), None).state == "waiting", "nothing to compare with"
    assert judge(guardrail, served(counted(400, 0)), served(counted(99))).state == "waiting", (
        "too few of the champion's"
    )


def test_a_minimum_of_a_business_metric() -> None:
    guardrail = Guardrail("revenue", "minimum", True, 0.95, 100)
    good, same, bad = ((400, mean * 400, (mean**2 + 1) * 400) for mean in (10.0, 9.9, 8.0))
    champion = served(counted(400, revenue=good), "1.0.0")
    assert judge(guardrail, served(counted(400, revenue=same)), champion).state == "holds"
    assert judge(guardrail, served(counted(400, revenue=bad)), champion).state == "broken"
    assert judge(guardrail, served(counted(400)), champion).state == "waiting", "it was not measured"


def variant(version: str, role: Role, weight: int, region: str | None = None) -> Variant:
    ordinal = int(version.split(".")[1]) + 1
    return Variant(version, ordinal, digest_of(version), role, weight, 0, region)


ROLES: tuple[tuple[str, Role, int], ...] = (("1.0.0", "champion", 9000), ("1.1.0", "canary", 1000))


def trial(own: Totals, *, step: int = 1, held: float = 60.0, scheduled: bool = True, **more: Any) -> Trial:
    schedule = (CanaryStep(1000, 60, 1000), CanaryStep(10_000, 60, 1000))
    variants = (variant("1.0.0", "champion", 9000), variant("1.1.0", "canary" if scheduled else "challenger", 1000))
    given: dict[str, Any] = {
        "variants": variants,
        "canary": Canary("1.1.0", 2, schedule, step) if scheduled else None,
        "guardrails": (ERRORS,),
        "held": held,
        "totals": {(digest_of("1.1.0"), None): own, (digest_of("1.0.0"), None): counted(9000)},
        "baselines": {None: Served("1.0.0", None, counted(9000), held)},
    }
    return Trial(**{**given, **more})


def verdict(found: Conclusion) -> tuple[str | None, str]:
    return found.verdict, " | ".join(found.explanation)


def test_a_canary_goes_on_when_it_was_held_and_asked_enough_and_holds() -> None:
    assert conclude(trial(counted(1000))).verdict == "proceed"
    assert conclude(trial(counted(1000), step=2)).verdict == "promote"
    assert verdict(conclude(trial(counted(1000), held=59.0))) == (None, "step 1 of 2 was held for 59 of 60 s")
    assert verdict(conclude(trial(counted(999)))) == (None, "step 1 of 2 saw 999 of 1,000 requests")
    assert verdict(conclude(trial(counted(1000, 25))))[0] is None


def test_harm_is_rolled_back_at_once_but_not_before_the_samples_are_there() -> None:
    assert conclude(trial(counted(600, 200), held=1.0)).verdict == "roll_back"
    assert conclude(trial(counted(400, 400), held=1.0)).verdict is None


def test_a_canary_whose_metrics_do_not_tell_is_inconclusive_after_an_hour() -> None:
    assert conclude(trial(counted(1000, 25), held=3_600.0)).verdict is None
    found = conclude(trial(counted(1000, 25), held=3_700.0))
    assert found.verdict == "inconclusive"
    assert "more samples will tell" in found.explanation[0]


def test_a_challenger_is_rolled_back_for_harm_and_never_promoted() -> None:
    assert conclude(trial(counted(10_000), scheduled=False)).verdict is None
    assert conclude(trial(counted(10_000, 900), scheduled=False)).verdict == "roll_back"


def test_every_region_is_judged_by_itself_and_requests_are_added() -> None:
    variants = tuple(
        variant(version, role, weight, region) for region in ("eu", "us") for version, role, weight in ROLES
    )
    totals = {(digest_of("1.1.0"), "eu"): counted(600), (digest_of("1.1.0"), "us"): counted(600, 100)}
    found = conclude(trial(Totals(), variants=variants, totals=totals, baselines={}))
    assert found.verdict == "roll_back"
    assert [said for said in found.explanation if "1.1.0 in us" in said]
    totals = {(digest_of("1.1.0"), "eu"): counted(600), (digest_of("1.1.0"), "us"): counted(600)}
    assert conclude(trial(Totals(), variants=variants, totals=totals, baselines={})).verdict == "proceed"


def test_a_shadow_is_not_judged() -> None:
    shadow = variant("1.1.0", "shadow", 0)
    found = conclude(
        trial(counted(1000, 900), variants=(variant("1.0.0", "champion", 10_000), shadow), scheduled=False)
    )
    assert (found.verdict, found.judgements) == (None, ())
