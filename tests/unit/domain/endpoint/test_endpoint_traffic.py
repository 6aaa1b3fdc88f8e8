"""Traffic: the whole set of variants in one event, and every reason why a set cannot be."""

from __future__ import annotations

import pytest
from tests.support.domain_book import artifact, codes, complete, digest
from tests.support.endpoint_book import FULL, EndpointBook, variant

from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.errors import Invalid, PreconditionFailed, Refused
from regista.domain.events import Origin
from regista.domain.model import KnownArtifact


def test_a_change_has_the_whole_set_pinned_and_the_set_before() -> None:
    book = EndpointBook("1.0.0", "1.1.0", "2.0.0")
    first = book.change(variant("1.0.0"))
    assert first == e.TrafficChanged(
        "Prod", "Fraud", "fraud",
        (e.Variant("1.0.0", 1, book.digest("1"), "champion", FULL, 0, None),),
        None, (), None, None,
    )  # fmt: skip
    second = book.change(variant("v1.0.0", 90), variant("2", 10), variant("2.0.0", 0, "shadow"))
    assert second.variants == (
        e.Variant("1.0.0", 1, book.digest("1"), "champion", 9_000, 0, None),
        e.Variant("1.1.0", 2, book.digest("2"), "challenger", 1_000, 0, None),
        e.Variant("2.0.0", 3, book.digest("3"), "shadow", 0, FULL, None),
    )
    assert (second.previous, second.previous_change) == (first.variants, 2)
    assert book.state.change == 3


def test_a_set_has_one_order_however_it_was_said() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    one = book.change(variant("1.1.0", 10, "challenger"), variant("1.0.0", 90, "champion"))
    other = book.change(variant("1.0.0", 90, "champion"), variant("1.1.0", 10, "challenger"))
    assert one.variants == other.variants


def test_roles_that_are_not_said_are_what_they_are_now() -> None:
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0")
    book.change(variant("1.0.0", 90), variant("1.1.0", 10, "canary"))
    book.change(variant("1.0.0", 20), variant("1.1.0", 50), variant("1.2.0", 30))
    assert book.served() == {"1.0.0": "champion 20", "1.1.0": "canary 50", "1.2.0": "challenger 30"}


def test_of_versions_that_are_new_the_one_with_most_weight_is_the_champion() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(variant("1.0.0", 30), variant("1.1.0", 70))
    assert book.served() == {"1.1.0": "champion 70", "1.0.0": "challenger 30"}


def test_a_variant_without_a_region_is_in_each() -> None:
    book = EndpointBook("1.0.0", "1.1.0", regions=("eu", "us"))
    book.change(variant("1.0.0", 90), variant("1.1.0", 10))
    assert book.served() == {
        "1.0.0@eu": "champion 90", "1.1.0@eu": "challenger 10", "1.0.0@us": "champion 90", "1.1.0@us": "challenger 10",
    }  # fmt: skip


def test_regions_are_split_each_by_itself() -> None:
    book = EndpointBook("1.0.0", "1.1.0", regions=("eu", "us"))
    book.change(
        variant("1.0.0", 100, region="EU"), variant("1.0.0", 50, region="us"), variant("1.1.0", 50, region="us")
    )
    assert book.served() == {"1.0.0@eu": "champion 100", "1.0.0@us": "champion 50", "1.1.0@us": "challenger 50"}
    error = book.refused(
        Refused, "weights_do_not_sum",
        book.changing(variant("1.0.0", 100, region="eu"), variant("1.1.0", 99.5, region="us")),
    )  # fmt: skip
    assert "in us sum to 99.5 %" in error.detail


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        ((variant("1.0.0", 90), variant("1.1.0", 9)), "weights_do_not_sum"),
        ((variant("1.0.0", 100.01),), "bad_weight"),
        ((variant("1.0.0", 110), variant("1.1.0", -10)), "bad_weight"),
        ((variant("1.0.0", 50, "champion"), variant("1.1.0", 50, "champion")), "several_champions"),
        ((variant("1.0.0", 100, "canary"),), "no_champion"),
        ((variant("1.0.0", 100, "challenger"),), "no_champion"),
        ((variant("1.0.0", 0, "shadow"),), "weights_do_not_sum"),
        ((variant("1.0.0"), variant("1.1.0", 5, "shadow")), "shadow_with_weight"),
        ((variant("1.0.0"), variant("1.1.0", 0, "shadow", mirror=0)), "bad_mirror"),
        ((variant("1.0.0"), variant("1.1.0", 0, "shadow", mirror=10_001)), "bad_mirror"),
        ((variant("1.0.0", mirror=5_000),), "mirror_without_shadow"),
        ((variant("1.0.0"), variant("1.1.0", 0, "unknown")), "bad_role"),
        ((variant("1.0.0", 50), variant("v1.0.0", 50, "challenger")), "variant_twice"),
        ((variant("1.0.0"), variant("1", 0, "shadow")), "variant_twice"),
        ((variant("1.0.0", region="eu"),), "bad_region"),
        ((variant("9.0.0"),), "unknown_version"),
        ((variant("newest"),), "bad_reference"),
        ((variant("1.0.0", digest="sha256:" + "0" * 64),), "digest_mismatch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_set_that_cannot_be_is_refused(variants: tuple[c.VariantRequest, ...], code: str) -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    with pytest.raises(Refused) as caught:
        book.change(*variants)
    assert code in codes(caught.value.reasons)
    assert book.state.variants == ()


def test_every_reason_is_told_in_one_refusal() -> None:
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0")
    book.model.archive("1.1.0")
    book.model.register("2.0.0")
    book.remove_target("Edge")
    error = book.refused(
        Refused,
        "traffic_refused",
        book.changing(
            variant("1.0.0", 50, digest=digest("other")),
            variant("1.1.0", 20, "canary"),
            variant("2.0.0", 20, "challenger"),
            variant("9.0.0", 5, "challenger"),
            variant("1.2.0", 1, "shadow", region="eu"),
        ),
    )
    assert codes(error.reasons) == {
        "unknown_target", "digest_mismatch", "version_archived", "stage_not_allowed", "unknown_version", "bad_region",
        "weights_do_not_sum",
    }  # fmt: skip
    assert {r.field for r in error.reasons} >= {f"variants[{i}]" for i in range(5)}


def test_a_version_that_is_archived_or_in_another_stage_says_how_to_bring_it_in() -> None:
    book = EndpointBook("1.0.0")
    book.model.register("1.1.0")
    error = book.refused(Refused, "stage_not_allowed", book.changing(variant("1.1.0")))
    assert error.hint == "regista promote fraud 1.1.0 --to staging --reason …"
    book.define("production")
    error = book.refused(Refused, "stage_not_allowed", book.changing(variant("1.1.0")))
    assert error.hint == "regista promote fraud 1.1.0 --to staging --reason …, and so on to production"
    book.model.archive("1.0.0")
    error = book.refused(Refused, "version_archived", book.changing(variant("1.0.0")))
    assert "regista promote fraud 1.0.0 --to candidate" in (error.hint or "")


def test_a_version_past_all_stages_of_an_environment_has_no_way_into_it() -> None:
    book = EndpointBook("1.0.0")
    book.define("staging")
    book.model.promote("1.0.0", "production")
    error = book.refused(Refused, "stage_not_allowed", book.changing(variant("1.0.0")))
    assert error.hint == "It is past them: PUT /v1/environments/Prod says anew what is served there."


def test_an_incomplete_version_and_one_without_bytes_are_not_brought_in() -> None:
    book = EndpointBook("1.0.0")
    known = KnownArtifact(artifact("imported"))
    book.model.do(complete(version="1.1.0", author=None, origin=Origin("mlflow", "1")), known=known)
    error = book.refused(Refused, "traffic_refused", book.changing(variant("1.1.0")))
    assert codes(error.reasons) == {"incomplete", "stage_not_allowed"}
    book.lose("1.0.0")
    book.refused(Refused, "artifact_missing", book.changing(variant("1.0.0")))


def test_a_version_archived_while_it_serves_may_keep_or_lose_traffic_and_gains_none() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.change(variant("1.0.0"))
    book.model.archive("1.0.0")
    book.change(variant("1.0.0", 60), variant("1.1.0", 40))
    book.change(variant("1.0.0", 60), variant("1.1.0", 40, "challenger"))
    book.refused(Refused, "version_archived", book.changing(variant("1.0.0", 70), variant("1.1.0", 30)))
    book.refused(Refused, "version_archived", book.changing(promote="1.0.0"))
    book.change(promote="1.1.0")
    book.refused(Refused, "version_archived", book.changing(variant("1.0.0", 10), variant("1.1.0", 90)))


def test_promoting_gives_a_version_everything_and_the_others_leave() -> None:
    book = EndpointBook("1.0.0", "1.1.0", "1.2.0", regions=("eu", "us"))
    book.change(variant("1.0.0", 90), variant("1.1.0", 10), variant("1.2.0", 0, "shadow"))
    event = book.change(promote="1.1.0")
    assert book.served() == {"1.1.0@eu": "champion 100", "1.1.0@us": "champion 100"}
    assert len(event.previous) == 6


def test_promoting_where_nothing_is_served_serves_all_regions() -> None:
    book = EndpointBook("1.0.0", regions=("eu", "us"))
    book.change(promote="1.0.0")
    assert set(book.served()) == {"1.0.0@eu", "1.0.0@us"}


def test_promoting_stays_in_the_regions_that_are_served_and_still_there() -> None:
    book = EndpointBook("1.0.0", "1.1.0", regions=("eu", "us", "asia"))
    book.change(variant("1.0.0", region="eu"), variant("1.0.0", region="us"))
    book.define("staging", "production", regions=("us", "asia"))
    book.change(promote="1.1.0")
    assert book.served() == {"1.1.0@us": "champion 100"}


@pytest.mark.parametrize("promote", ["9.0.0", "newest"])
def test_promoting_what_does_not_exist_is_refused(promote: str) -> None:
    error = EndpointBook("1.0.0").refused(
        Refused, "unknown_version" if promote == "9.0.0" else "bad_reference",
        c.ChangeTraffic("prod", "fraud", promote=promote),
    )  # fmt: skip
    assert error.reasons[0].field == "promote"


@pytest.mark.parametrize(
    "command",
    [
        c.ChangeTraffic("prod", "fraud"),
        c.ChangeTraffic("prod", "fraud", (variant("1.0.0"),), promote="1.0.0"),
        c.ChangeTraffic("prod", "fraud", promote="1.0.0", advance=True),
        c.ChangeTraffic("prod", "fraud", promote="1.0.0", canary=(e.CanaryStep(FULL, 0, 0),)),
    ],
)
def test_a_change_is_one_of_three_things(command: c.ChangeTraffic) -> None:
    EndpointBook("1.0.0").refused(Invalid, "ambiguous_change", command)


def test_a_change_needs_a_reason() -> None:
    EndpointBook("1.0.0").refused(Invalid, "reason_required", c.ChangeTraffic("prod", "fraud", promote="1.0.0"), " ")


def test_a_change_that_expects_another_to_be_the_newest_is_too_late() -> None:
    book = EndpointBook("1.0.0", "1.1.0")
    book.refused(PreconditionFailed, "expectation_failed", book.changing(promote="1.0.0", expect_change=1))
    book.change(promote="1.0.0", expect_change=None)
    book.refused(PreconditionFailed, "expectation_failed", book.changing(promote="1.1.0", expect_change=None))
    book.change(promote="1.1.0", expect_change=2)


def test_asking_for_what_is_served_is_recorded() -> None:
    book = EndpointBook("1.0.0")
    book.change(promote="1.0.0")
    assert book.change(promote="1.0.0").previous_change == 2


def test_what_the_environment_serves_is_looked_up_anew_for_each_change() -> None:
    book = EndpointBook("1.0.0")
    book.define("production")
    error = book.refused(Refused, "stage_not_allowed", book.changing(promote="1.0.0"))
    assert "Prod serves production" in error.detail
