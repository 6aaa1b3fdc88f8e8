"""What passes a filter: every list must let an event through, an empty one lets everything through."""

from __future__ import annotations

from time import perf_counter

import pytest

from regista.domain.events import EndpointRetired, ModelRetired
from regista.notifier.filters import Facts, Filter, facts_of

PROMOTED = Facts("regista.version.promoted.v1", "model/fraud", "ci/train", model="fraud")
TRAFFIC = Facts("regista.endpoint.traffic-changed.v1", "endpoint/prod/fraud-eu", "ann", "fraud", "prod")


def test_without_filters_everything_passes() -> None:
    assert Filter().matches(PROMOTED)
    assert Filter().matches(TRAFFIC)


@pytest.mark.parametrize(
    ("filters", "promoted", "traffic"),
    [
        (Filter(types=("regista.version.promoted.v1",)), True, False),
        (Filter(types=("version.promoted",)), True, False),
        (Filter(types=("version.*",)), True, False),
        (Filter(types=("regista.endpoint.*", "alias.*")), False, True),
        (Filter(types=("version",)), False, False),
        (Filter(types=("version.promoted.v2",)), False, False),
        (Filter(models=("Fraud",)), True, True),
        (Filter(models=("fra",)), False, False),
        (Filter(models=("fra*",)), True, True),
        (Filter(streams=("model/*",)), True, False),
        (Filter(streams=("endpoint/Prod/fraud-eu",)), False, True),
        (Filter(environments=("PROD", "staging")), False, True),
        (Filter(environments=("*",)), False, True),
        (Filter(actors=("ci/*",)), True, False),
        (Filter(actors=("CI/train",)), False, False),
        (Filter(types=("endpoint.*",), models=("fraud",), environments=("prod",), actors=("ann",)), False, True),
        (Filter(types=("endpoint.*",), actors=("ci/*",)), False, False),
        (Filter(streams=("model/fr[a]ud", "model/fr.ud")), False, False),
        (Filter(streams=("*d*",)), True, True),
        (Filter(streams=("*/f*a*d",)), True, False),
        (Filter(streams=("*/f*fraud", "model/fraud*fraud", "**x")), False, False),
    ],
)
def test_lists_are_joined_by_and_their_entries_by_or(filters: Filter, promoted: bool, traffic: bool) -> None:
    assert (filters.matches(PROMOTED), filters.matches(TRAFFIC)) == (promoted, traffic)


def test_an_event_tells_its_model_and_its_environment() -> None:
    retired = EndpointRetired("Prod", "Fraud-EU", "Fraud", (), None, None)
    facts = facts_of(retired.TYPE, "endpoint/prod/fraud-eu", "ann", retired)
    assert (facts.model, facts.environment) == ("fraud", "prod")
    gone = ModelRetired("Fraud", ())
    assert facts_of(gone.TYPE, "model/fraud", "ann", gone).model == "fraud"
    unknown = facts_of("regista.model.praised.v1", "model/fraud", "ann", None)
    assert (unknown.model, unknown.environment) == ("fraud", "")


def test_many_stars_take_no_longer_than_one() -> None:
    facts = Facts("regista.version.promoted.v1", "model/" + "a" * 120, "ann", "a" * 120)
    begun = perf_counter()
    assert not Filter(models=("*a" * 60 + "*b",)).matches(facts)
    assert not Filter(actors=("*" * 200 + "!",)).matches(facts)
    assert Filter(models=("*a" * 60 + "*",)).matches(facts)
    assert perf_counter() - begun < 1
