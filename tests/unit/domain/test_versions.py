"""Version numbers: Semantic Versioning without build metadata."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.domain.errors import Invalid
from regista.domain.versions import VersionNumber, looks_like_version

PRECEDENCE = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
"""The chain of SemVer 2.0.0, section 11.4."""

numbers = st.builds(
    VersionNumber,
    st.integers(0, 10**9 - 1),
    st.integers(0, 10**9 - 1),
    st.integers(0, 10**9 - 1),
    st.lists(st.integers(0, 99) | st.sampled_from(["alpha", "rc", "x-1", "0a", "-"]), max_size=3).map(tuple),
)


@given(numbers)
def test_a_number_is_read_back_from_its_text_with_or_without_v(number: VersionNumber) -> None:
    assert VersionNumber.parse(str(number)) == number
    assert VersionNumber.parse(f"v{number}") == number


def test_precedence_is_that_of_semver() -> None:
    texts = [*PRECEDENCE.split(), "1.0.1", "1.1.0-0", "1.1.0", "2.0.0"]
    parsed = [VersionNumber.parse(text) for text in texts]
    assert sorted(parsed, reverse=True) == parsed[::-1]
    assert all(a < b and b > a and not b < a for a, b in pairwise(parsed))


@given(numbers, numbers)
def test_order_and_equality_agree(a: VersionNumber, b: VersionNumber) -> None:
    assert (a < b) + (b < a) + (a == b) == 1
    assert (a < b) == (a.precedence < b.precedence)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.02.3",
        "1.2.3-01",
        "1.2.3-",
        "1.2.3-a..b",
        "1.2.3+build",
        "V1.2.3",
        "vv1.2.3",
        " 1.2.3",
        "1.2.3\n",
        "-1.2.3",
        "1.2.x",
        "1.2.3-ü",
        "1.2.\u0663",  # a digit, but none of ASCII
        "1000000000.0.0",
        "1.2.3-" + "a" * 200,
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        VersionNumber.parse(text)
    assert caught.value.code == "bad_version"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("number", "major", "minor", "patch"),
    [
        ("1.2.3", "2.0.0", "1.3.0", "1.2.4"),
        ("0.2.3", "1.0.0", "0.3.0", "0.2.4"),
        ("2.0.0-rc.1", "2.0.0", "2.0.0", "2.0.0"),
        ("2.1.0-rc.1", "3.0.0", "2.1.0", "2.1.0"),
        ("2.1.1-rc.1", "3.0.0", "2.2.0", "2.1.1"),
    ],
)
def test_the_next_number_after_a_prerelease_is_its_own_release_where_that_is_enough(
    number: str, major: str, minor: str, patch: str
) -> None:
    parsed = VersionNumber.parse(number)
    assert str(parsed.bump("major")) == major
    assert str(parsed.bump("minor")) == minor
    assert str(parsed.bump("patch")) == patch


@given(numbers, st.sampled_from(["major", "minor", "patch"]))
def test_the_next_number_is_higher(number: VersionNumber, level: str) -> None:
    assert number < number.bump(level)  # type: ignore[arg-type]  # one of the three levels


@pytest.mark.parametrize("text", ["1", "v2", "V2", "1.4", "1.4.0", "v1.4.0-rc.1", "7-beta", "1.0.0+x"])
def test_what_could_be_taken_for_a_version_looks_like_one(text: str) -> None:
    assert looks_like_version(text)


@pytest.mark.parametrize("text", ["champion", "v", "version1", "2fast", "a1.0", "x-1.0.0"])
def test_words_do_not_look_like_versions(text: str) -> None:
    assert not looks_like_version(text)
