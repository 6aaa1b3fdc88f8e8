"""Equal data have equal digests, on every machine and in every form that means the same; different data differ."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse  # type: ignore[import-untyped]  # scipy ships no types

from regista.client.training.data import digest
from regista.domain.errors import Invalid, NotFound


def frame(**changes: Any) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "amount": [1.5, float("nan"), 3.0],
        "count": [1, 2, 3],
        "name": ["a", None, "é"],
        "when": pd.to_datetime(["2026-05-01", "2026-05-02", None]),
        "kind": pd.Categorical(["x", "y", "x"]),
        "flag": [True, False, True],
    }
    return pd.DataFrame(columns | changes)


def test_a_file_has_its_own_sha256(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1,2\n")
    assert digest(tmp_path / "a.csv") == "sha256:" + hashlib.sha256(b"1,2\n").hexdigest()
    assert digest(str(tmp_path / "a.csv")) == digest(tmp_path / "a.csv")
    assert digest(tmp_path).startswith("sha256:")
    with pytest.raises(NotFound):
        digest("s3://bucket/key")


def test_a_data_frame_has_one_digest() -> None:
    assert (
        digest(frame())
        == digest(frame().copy(deep=True))
        == digest(frame().iloc[::-1].iloc[::-1].reset_index(drop=True))
    )


@pytest.mark.parametrize(
    "other",
    [
        frame(count=[1, 2, 4]),
        frame(count=[1.0, 2.0, 3.0]),
        frame(name=["a", "", "é"]),
        frame(name=["aé", None, ""]),
        frame(amount=[1.5, 0.0, 3.0]),
        frame(when=pd.to_datetime(["2026-05-01", "2026-05-02", "2026-05-03"])),
        frame(when=pd.to_datetime(["2026-05-01", "2026-05-02", None], utc=True)),
        frame(flag=[1, 0, 1]),
        frame().rename(columns={"name": "nane"}),
        frame()[["count", "amount", "name", "when", "kind", "flag"]],
        frame().iloc[::-1],
        frame().set_index("count"),
        frame().iloc[:2],
    ],
)
def test_any_difference_is_a_difference(other: pd.DataFrame) -> None:
    assert digest(other) != digest(frame())


def test_text_is_the_same_in_every_type_of_column() -> None:
    kinds = [object, "str", "string", "category"]
    assert len({digest(pd.DataFrame({"a": pd.Series(["x", "y"], dtype=kind)})) for kind in kinds}) == 1


def test_times_are_the_same_in_every_unit() -> None:
    kinds = ["datetime64[s]", "datetime64[us]", "datetime64[ns]"]
    assert len({digest(pd.DataFrame({"a": pd.Series(["2026-05-01"], dtype=kind)})) for kind in kinds}) == 1


def test_missing_integers_are_no_zeros() -> None:
    missing = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    assert digest(missing) != digest(pd.DataFrame({"a": pd.array([1, 0], dtype="Int64")}))


def test_an_array_has_one_digest_in_every_layout() -> None:
    array = np.arange(12, dtype="<f8").reshape(3, 4)
    same = [array.copy(), np.asfortranarray(array), array.astype(">f8"), np.vstack([array, array])[:3]]
    assert {digest(other) for other in same} == {digest(array)}
    different = [array.T, array.astype("f4"), array.reshape(4, 3), array + 1]
    assert digest(array) not in {digest(other) for other in different}


def test_every_nan_is_the_same() -> None:
    odd = np.array([0x7FF8000000000123], dtype="u8").view("f8")
    assert digest(odd) == digest(np.array([np.nan]))


def test_known_digests_stay_what_they_are() -> None:
    array = np.array([[1, 2], [3, 4]], dtype="i4")
    expected = hashlib.sha256(
        b"regista-data-1\0"
        + (5).to_bytes(8, "little") + b"array"
        + (6).to_bytes(8, "little") + b"(2, 2)"
        + (5).to_bytes(8, "little") + b"int32"
        + b"".join(n.to_bytes(4, "little") for n in (1, 2, 3, 4))
    )  # fmt: skip
    assert digest(array) == f"sha256:{expected.hexdigest()}"


def test_sparse_matrices_have_the_digest_of_their_entries() -> None:
    dense = np.array([[0, 1], [2, 0]])
    assert digest(sparse.csr_matrix(dense)) == digest(sparse.csc_matrix(dense)) == digest(sparse.coo_matrix(dense))
    assert digest(sparse.csr_matrix(dense)) != digest(sparse.csr_matrix(dense.T))


def test_parts_are_taken_by_name_and_by_place() -> None:
    x, y = np.zeros(3), np.ones(3)
    assert digest((x, y)) != digest((y, x))
    assert digest({"x": x, "y": y}) == digest({"x": x.copy(), "y": y.copy()})
    assert digest({"x": x}) != digest({"y": x})


def test_plain_values_are_told_apart_by_kind() -> None:
    values: list[Any] = [[1], ["1"], [True], [1.0], [None], [b"1"], [[1]], [{"a": 1}], [dt.date(2026, 1, 1)], [1, None]]
    assert len({digest(value) for value in values}) == len(values)
    assert digest([{"a": 1, "b": 2}]) == digest([{"b": 2, "a": 1}])


def test_what_has_no_digest_is_refused_with_its_place() -> None:
    with pytest.raises(Invalid, match=r"data\['a'\].*object"):
        digest(pd.DataFrame({"a": [object()]}))
    with pytest.raises(Invalid, match="generator"):
        digest(n for n in range(3))
