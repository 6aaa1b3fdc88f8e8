"""The persistent map against a dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from regista.domain.persistent import PersistentMap

entries = st.lists(st.tuples(st.integers(0, 90), st.integers()), max_size=300)


@given(st.dictionaries(st.integers(0, 90), st.integers(), max_size=60), entries)
def test_it_is_a_dictionary_that_never_changes(base: dict[int, int], changes: list[tuple[int, int]]) -> None:
    expected = dict(base)
    grown: PersistentMap[int, int] = PersistentMap(dict(base))
    versions = [(grown, dict(expected))]
    for key, value in changes:
        grown = grown.set(key, value)
        expected[key] = value
        versions.append((grown, dict(expected)))
    for held, then in versions[:: max(1, len(versions) // 7)]:
        assert held.to_dict() == dict(held) == then
        assert len(held) == len(then)
        assert sorted(held) == sorted(then)
        assert all(key in held and held.get(key) == value for key, value in then.items())
        assert held.get(91) is None
        assert 91 not in held


def test_to_dict_belongs_to_the_caller() -> None:
    held = PersistentMap({1: 1}).set(2, 2)
    held.to_dict()[3] = 3
    assert dict(held) == {1: 1, 2: 2}


def test_none_is_a_value() -> None:
    held: PersistentMap[str, int | None] = PersistentMap({"a": 1})
    gone = held.set("a", None)
    assert "a" in gone
    assert gone["a"] is None
    assert len(gone) == 1
