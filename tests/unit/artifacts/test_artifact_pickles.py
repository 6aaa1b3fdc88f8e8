"""Imports are listed without any being done, whatever the protocol, packing or trick."""

from __future__ import annotations

import collections
import datetime as dt
import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from regista.artifacts.pickles import PickleReport, default_allowlist, scan_file, scan_pickle
from regista.artifacts.source import LocalSource

MODELS = {
    "pipeline": make_pipeline(StandardScaler(), SVC()),
    "forest": RandomForestClassifier(3),
    "boosting": GradientBoostingClassifier(n_estimators=2),
    "histogram": HistGradientBoostingClassifier(max_iter=2),
    "tree index": KNeighborsClassifier(algorithm="kd_tree"),
    "ball index": KNeighborsClassifier(algorithm="ball_tree"),
    "linear": LogisticRegression(max_iter=500),
    "gradient": SGDClassifier(),
}
PACKINGS: list[object] = [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)]


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/should-never-appear",)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> object:
    features, target = load_iris(return_X_y=True)
    return MODELS[request.param].fit(features, target)


def scanned(data: bytes) -> PickleReport:
    return scan_pickle(io.BytesIO(data))


def imports_of(data: bytes) -> set[str]:
    """What the real unpickler asks for, as the standard library's own hook sees it."""
    seen = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            seen.add(f"{module}.{name}")
            return super().find_class(module, name)

    Recorder(io.BytesIO(data)).load()
    return seen


@pytest.mark.parametrize("protocol", range(6))
def test_what_is_listed_is_what_loading_asks_for(model: object, protocol: int) -> None:
    data = pickle.dumps(model, protocol=protocol)
    report = scanned(data)
    mapped = {"copy_reg._reconstructor": "copyreg._reconstructor", "__builtin__.object": "builtins.object"}
    mapped["__builtin__.bytes"] = "builtins.bytes"
    assert set(report.imports) == {mapped.get(name, name) for name in imports_of(data)}
    assert report.disallowed == ()
    assert report.complete


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_arrays_inside_joblib_files_are_stepped_over(model: object, packing: object, tmp_path: Path) -> None:
    joblib.dump({"model": model, "after": Attack()}, tmp_path / "m", compress=packing)
    report = scan_file(LocalSource(tmp_path / "m"), "m")
    assert report.disallowed == ("posix.system",)
    assert "joblib.numpy_pickle.NumpyArrayWrapper" in report.imports
    assert report.complete


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"x": 1}, None], dtype=object),
        np.array(["a", "bcd"]),
        np.array([b"a"]),
        np.zeros(3, dtype=[("a", "f4"), ("b", "i8")]),
        np.zeros(3, dtype=[("a", "f4"), ("b", "O")]),
        np.array(3.5),
        np.zeros((0, 4)),
        np.asfortranarray(np.ones((3, 5))),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.ones(4, dtype=">i2"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_every_kind_of_array_is_stepped_over(array: object, tmp_path: Path) -> None:
    joblib.dump([array, Attack()], tmp_path / "m")
    report = scan_file(LocalSource(tmp_path / "m"), "m")
    assert report.complete, report.problem
    assert report.disallowed == ("posix.system",)


@pytest.mark.parametrize("protocol", range(6))
def test_an_attack_is_named_and_not_carried_out(protocol: int) -> None:
    assert scanned(pickle.dumps([1, Attack()], protocol=protocol)).disallowed == ("posix.system",)
    assert not Path("/tmp/should-never-appear").exists()  # noqa: S108 - the name that the attack would make


@pytest.mark.parametrize(
    ("data", "disallowed"),
    [
        (b"cos\nsystem\n(S'x'\ntR.", "os.system"),
        (b"(S'x'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'x'\no.", "os.system"),
        (b"c__builtin__\neval\n.", "builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.", "os.system"),
        (b"\x80\x04S'os'\nS'system'\n\x93.", "os.system"),
        (b"\x80\x04V\\u006fs\nVsystem\n\x93.", "os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x11object.__init__.a\x93.", "builtins.object.__init__.a"),
        (b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93.", "?"),
        (b"\x80\x02\x82\x07.", "copyreg.extension.7"),
    ],
)
def test_every_way_to_ask_for_a_name_is_seen(data: bytes, disallowed: str) -> None:
    assert scanned(data).disallowed == (disallowed,)


def test_module_and_name_are_compared_apart() -> None:
    assert ("numpy", "ndarray") in default_allowlist()
    name = b"core.multiarray._reconstruct"
    dotted = b"\x80\x04\x8c\x05numpy\x8c" + bytes([len(name)]) + name + b"\x93."
    assert scanned(dotted).disallowed == ("numpy.core.multiarray._reconstruct",)


def test_a_pickle_behind_another_is_scanned_too() -> None:
    report = scanned(pickle.dumps(1) + pickle.dumps(Attack()))
    assert report.disallowed == ("posix.system",)


def test_members_of_a_pytorch_archive_are_scanned(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", pickle.dumps(collections.OrderedDict(at=dt.date(2025, 1, 1))))
        archive.writestr("m/constants.pkl", pickle.dumps(Attack()))
        archive.writestr("m/data/0", b"\x00" * 100)
    report = scan_file(LocalSource(tmp_path / "m"), "m")
    assert report == PickleReport(("collections.OrderedDict", "datetime.date", "posix.system"), ("posix.system",))


def test_what_cannot_be_followed_is_said_to_be_incomplete(tmp_path: Path) -> None:
    data = pickle.dumps([Attack(), list(range(1000))])
    for broken in (data[:-1], data[:-5], data[:20] + b"\xff" + data[20:], b"", b"\x80\x09."):
        report = scanned(broken)
        assert not report.complete
        assert report.problem
    limited = scan_pickle(io.BytesIO(data), opcode_limit=500)
    assert (limited.complete, limited.disallowed) == (False, ("posix.system",))
    (tmp_path / "m").write_bytes(b"\x78\x9c" + b"broken" * 10)
    assert not scan_file(LocalSource(tmp_path / "m"), "m").complete


def test_payloads_are_not_held() -> None:
    """A text, a number and bytes that claim gigabytes are stepped over or refused, not read."""
    for claim in (b"\x8d", b"\x8e", b"\x96"):
        assert not scanned(b"\x80\x05" + claim + (1 << 40).to_bytes(8, "little") + b"abc.").complete
    assert not scanned(b"\x80\x02\x8b\xff\xff\xff\x7f1.").complete


def test_the_allowlist_holds_nothing_that_runs_code() -> None:
    names = {f"{module}.{name}" for module, name in default_allowlist()}
    forbidden = ("builtins.getattr", "builtins.eval", "builtins.exec", "builtins.__import__", "functools.partial")
    assert names.isdisjoint(forbidden)
    assert not [n for n in names if n.startswith(("os.", "posix.", "subprocess.", "operator.", "importlib.", "runpy."))]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_scanner(data: bytes) -> None:
    scanned(data)


@given(
    st.lists(st.sampled_from([opcode.code.encode("latin-1") for opcode in pickletools.opcodes]), max_size=30), st.data()
)
def test_no_order_of_opcodes_breaks_the_scanner(opcodes: list[bytes], data: st.DataObject) -> None:
    argument = st.sampled_from([b"", b"\x00", b"\x01", b"a\n", b"1\n", b"\x02ab", b"\x00\x00\x00\x00"])
    scanned(b"".join(opcode + data.draw(argument) for opcode in opcodes) + b".")
