"""Version keys sort as versions do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regista.domain.versions import VersionNumber
from regista.projections.version_key import version_key

identifiers = st.one_of(st.integers(0, 10**12), st.from_regex(r"[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,3}", fullmatch=True))
numbers = st.builds(
    VersionNumber,
    st.integers(0, 10**9 - 1),
    st.integers(0, 120),
    st.integers(0, 12),
    st.lists(identifiers, max_size=3).map(tuple),
)


@given(numbers, numbers)
def test_keys_sort_by_precedence_and_are_equal_for_equal_numbers_only(a: VersionNumber, b: VersionNumber) -> None:
    left, right = version_key(str(a)).encode(), version_key(str(b)).encode()
    assert (left < right) == (a < b)
    assert (left == right) == (a == b)


def test_the_order_of_the_specification() -> None:
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.9.0",
        "1.10.0",
    ]
    assert sorted(ordered, key=lambda version: version_key(version).encode()) == ordered
