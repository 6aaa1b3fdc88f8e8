"""Names, streams and references: how the things of the registry are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.domain import references as r
from regista.domain.errors import Invalid

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize("name", ["a", "A", "7", "fraud", "Fraud-2", "a.b_c-d", "a" * 128, "x..y"])
def test_names_are_letters_digits_and_inner_dots_dashes_underscores(name: str) -> None:
    assert r.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "-a",
        "a-",
        "_a",
        "a.",
        "a b",
        "a\n",
        "a\x00b",
        "fräud",
        "\u212a",
        "\u0661",
        "a" * 129,
        "\ud800",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        r.check_name(name)
    assert caught.value.code == "bad_name"
    assert caught.value.detail.isprintable()
    assert caught.value.hint


def test_who_names_a_version_with_its_model_is_told_how_versions_are_named() -> None:
    with pytest.raises(Invalid) as caught:
        r.model_stream("fraud@production")
    assert caught.value.code == "bad_name"
    assert "fraud @production" in (caught.value.hint or "")


def test_names_that_differ_in_case_share_a_stream() -> None:
    assert r.model_stream("Fraud") == r.model_stream("fraud") == "model/fraud"


@pytest.mark.parametrize("alias", ["champion", "Champion", "team-a.best", "prod", "v"])
def test_an_alias_is_kept_in_lower_case(alias: str) -> None:
    assert r.check_alias(alias) == alias.lower()


@pytest.mark.parametrize(
    "alias",
    ["candidate", "staging", "Production", "ARCHIVED", "latest", "Latest", "1", "v2", "1.4", "1.4.0", "v1.4.0-rc.1"],
)
def test_aliases_cannot_be_named_like_a_stage_or_latest_or_a_version(alias: str) -> None:
    with pytest.raises(Invalid) as caught:
        r.check_alias(alias)
    assert caught.value.code == "bad_alias"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("1.4.0", r.ByNumber("1.4.0")),
        ("v1.4.0", r.ByNumber("1.4.0")),
        ("1.4.0-rc.1", r.ByNumber("1.4.0-rc.1")),
        ("7", r.ByOrdinal(7)),
        ("@champion", r.ByAlias("champion")),
        ("@Champion", r.ByAlias("champion")),
        ("@production", r.ByStage("production")),
        ("@Staging", r.ByStage("staging")),
        ("stage:canary", r.ByStage("canary")),
        ("stage:Production", r.ByStage("production")),
        (DIGEST, r.ByDigest(DIGEST)),
    ],
)
def test_every_form_of_reference_is_read(text: str, reference: r.Reference) -> None:
    assert r.parse_reference(text) == reference


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_reference"),
        ("0", "bad_reference"),
        ("07", "bad_reference"),
        ("-1", "bad_reference"),
        ("\u0667", "bad_reference"),
        ("12345678901", "bad_reference"),
        ("latest", "bad_reference"),
        ("@latest", "bad_reference"),
        ("@LATEST", "bad_reference"),
        ("champion", "bad_reference"),
        ("1.4", "bad_version"),
        ("1.4.0+build", "bad_version"),
        ("@1.4.0", "bad_alias"),
        ("@", "bad_name"),
        ("@a b", "bad_name"),
        ("stage:", "bad_name"),
        ("sha256:abc", "bad_digest"),
        ("sha256:" + "AB" * 32, "bad_digest"),
        (DIGEST + "\n", "bad_digest"),
    ],
)
def test_what_names_no_version_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        r.parse_reference(text)
    assert caught.value.code == code
    assert caught.value.hint


@given(st.text(max_size=40) | st.text("v0123456789.-@stage:lrc", max_size=20))
def test_any_text_is_a_reference_or_invalid_and_the_refusal_can_be_printed(text: str) -> None:
    refusal = None
    try:
        r.parse_reference(text)
    except Invalid as error:
        refusal = error
    assert refusal is None or refusal.detail.isprintable()


def test_streams_hold_names_in_lower_case() -> None:
    assert r.environment_stream("Prod") == "environment/prod"
    assert r.target_stream("Edge-1") == "target/edge-1"
    assert r.endpoint_stream("Prod", "Fraud") == "endpoint/prod/fraud"
    for stream in (r.environment_stream, r.target_stream, lambda name: r.endpoint_stream("prod", name)):
        with pytest.raises(Invalid) as caught:
            stream("a/b")
        assert caught.value.code == "bad_name"


def test_an_endpoint_is_named_with_its_environment() -> None:
    assert r.parse_endpoint("Prod/Fraud") == ("Prod", "Fraud")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("fraud", "bad_endpoint"),
        ("", "bad_endpoint"),
        ("prod/", "bad_name"),
        ("/fraud", "bad_name"),
        ("a/b/c", "bad_name"),
    ],
)
def test_what_names_no_endpoint_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        r.parse_endpoint(text)
    assert caught.value.code == code
    assert caught.value.hint
