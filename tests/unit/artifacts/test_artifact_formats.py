"""A format is told by its bytes: the names of these files say nothing, or lie."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import joblib
import numpy as np
import onnx
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from regista.artifacts import containers
from regista.artifacts.formats import detect
from regista.artifacts.manifest import Manifest
from regista.artifacts.pickles import scan_file
from regista.artifacts.source import LocalSource, ManifestSource

TORCH_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
KERAS_METADATA = json.dumps({"keras_version": "3.5.0", "date_saved": "2025-01-01@00:00:00"})
HDF5 = b"\x89HDF\r\n\x1a\n" + b"\x00" * 100


def estimator() -> LogisticRegression:
    return LogisticRegression().fit(np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 1, 0])


def dumped(compress: object = 0) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator(), buffer, compress=compress)
    return buffer.getvalue()


def zipped(**members: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return buffer.getvalue()


def tarred(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return buffer.getvalue()


def onnx_model() -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g", [value], [helper.make_tensor_value_info("y", 1, [None, 2])]
    )
    return bytes(onnx.ModelProto.SerializeToString(helper.make_model(graph)))


def saved_model() -> bytes:
    return b"\x08\x01\x12\x05\x0a\x03abc"


SAMPLES: dict[str, tuple[str, bytes]] = {
    **{f"pickle {p}": ("pickle", pickle.dumps({"weights": [1.5, 2.5], "name": "m"}, protocol=p)) for p in range(6)},
    **{f"sklearn {p}": ("pickle", pickle.dumps(estimator(), protocol=p)) for p in range(6)},
    "joblib": ("joblib", dumped()),
    **{f"joblib {kind}": ("joblib", dumped((kind, 3))) for kind in ("zlib", "gzip", "bz2", "lzma", "xz")},
    "onnx": ("onnx", onnx_model()),
    "safetensors": ("safetensors", safetensors.numpy.save({"w": np.ones((2, 3), "float32")}, {"made": "here"})),
    "safetensors without tensors": ("safetensors", safetensors.numpy.save({})),
    "pytorch": ("pytorch", zipped(model__data_DOT_pkl=pickle.dumps({}), model__version="3\n")),
    "torchscript": (
        "torchscript",
        zipped(m__data_DOT_pkl=pickle.dumps({}), m__constants_DOT_pkl=pickle.dumps(()), m__code____torch___DOT_py="x"),
    ),
    "pytorch legacy": ("pytorch", TORCH_HEAD + pickle.dumps({}, protocol=2)),
    "pytorch tar": ("pytorch", tarred("sys_info", "pickle", "storages", "tensors")),
    "keras": (
        "keras",
        zipped(config_DOT_json="{}", metadata_DOT_json=KERAS_METADATA, model_DOT_weights_DOT_h5=HDF5),
    ),
    "keras h5": ("keras-h5", HDF5 + b"model_config\x00" + b'{"class_name": "Sequential"}'),
    "hdf5": ("hdf5", HDF5 + b"some_dataset\x00"),
    "gguf": ("gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 0)),
    "xgboost json": ("xgboost", b'{"learner":{"attributes":{},"feature_names":[]},"version":[2,1,0]}'),
    "xgboost ubj": ("xgboost", b"{L" + struct.pack(">Q", 7) + b"learner{L" + struct.pack(">Q", 10) + b"attributes{}"),
    "lightgbm": ("lightgbm", b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n"),
    "empty": ("unknown", b""),
    "text": ("unknown", b"hello.\nThis is not a pickle.\n"),
    "one dot": ("unknown", b"."),
    "another json": ("unknown", b'{"learner": 7}'),
    "another zip": ("unknown", zipped(readme="hello")),
    "office zip": ("unknown", zipped(config_DOT_json="{}", metadata_DOT_json="{}")),
    "another tar": ("unknown", tarred("readme")),
    "gzip of text": ("unknown", __import__("gzip").compress(b"hello world, this is text")),
    "png": ("unknown", b"\x89PNG\r\n\x1a\n" + b"\x00" * 64),
    "gguf of another version": ("unknown", b"GGUF" + struct.pack("<I", 77)),
    "zip cut off": ("unknown", zipped(model__data_DOT_pkl=pickle.dumps({}))[:40]),
    "pickle cut off": ("unknown", pickle.dumps({"a": [1, 2, 3]}, protocol=4)[:-3]),
    "safetensors cut off": ("unknown", safetensors.numpy.save({"w": np.ones(9)})[:-1]),
    "onnx cut off": ("unknown", onnx_model()[:-1]),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_bytes_tell(sample: str, tmp_path: Path) -> None:
    expected, data = SAMPLES[sample]
    lying = tmp_path / ("model.txt" if expected != "unknown" else "model.pkl")
    lying.write_bytes(data)
    assert detect(LocalSource(lying)).format == expected


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_manifest_and_ranges_tell_the_same(sample: str, tmp_path: Path) -> None:
    expected, data = SAMPLES[sample]
    (tmp_path / "model").write_bytes(data)
    manifest = Manifest.scan(tmp_path / "model", part_size=50)
    parts = {part.sha256: data[i * 50 : i * 50 + 50] for i, part in enumerate(manifest.files[0].blobs)}
    source = ManifestSource(manifest, lambda digest, start, stop: parts[digest][start:stop])
    assert detect(source).format == expected


def folder(root: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_a_saved_model_is_a_folder_with_its_graph_in_place(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", saved_model_DOT_pb=saved_model(), variables__variables_DOT_index=b"\x00")
    assert detect(LocalSource(place)).format == "savedmodel"
    elsewhere = folder(tmp_path / "b", some_DOT_pb=saved_model())
    assert detect(LocalSource(elsewhere)).format == "unknown"


def test_a_folder_is_named_after_what_can_be_served(tmp_path: Path) -> None:
    weights = safetensors.numpy.save({"w": np.ones(3)})
    place = folder(
        tmp_path / "m",
        config_DOT_json=b"{}",
        a_DOT_safetensors=weights,
        b_DOT_safetensors=weights,
        training_args_DOT_bin=pickle.dumps({"lr": [0.1]}),
    )
    detection = detect(LocalSource(place))
    assert detection.format == "safetensors"
    assert detection.files_of("safetensors") == ("a.safetensors", "b.safetensors")
    assert detection.files_of("pickle") == ("training_args.bin",)


def test_a_long_pickle_is_told_without_following_all_of_it(tmp_path: Path) -> None:
    for protocol in (0, 4):
        (tmp_path / "long").write_bytes(pickle.dumps(list(range(300_000)), protocol=protocol))
        assert detect(LocalSource(tmp_path / "long")).format == "pickle"


def bomb(opener: Callable[..., IO[bytes]], size: int) -> bytes:
    """A packed pickle of ``size`` zero bytes, written without holding them."""
    buffer = io.BytesIO()
    with opener(buffer, "wb") as file:
        file.write(b"\x80\x04\x8e" + struct.pack("<Q", size))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.write(b".")
    return buffer.getvalue()


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open])
def test_little_of_a_bomb_is_unpacked(
    opener: Callable[..., IO[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0
    honest = containers._Bounded.readinto

    def counted(self: containers._Bounded, buffer: bytearray) -> int:
        nonlocal unpacked
        count = honest(self, buffer)
        unpacked += count
        return count

    data = bomb(opener, 256 << 20)
    (tmp_path / "bomb").write_bytes(data)
    monkeypatch.setattr(containers._Bounded, "readinto", counted)
    source = LocalSource(tmp_path / "bomb")
    assert detect(source).format == "joblib"
    assert unpacked <= min(containers.UNPACKED_LIMIT, containers.allowance(len(data)))
    report = scan_file(source, "bomb")
    assert not report.complete
    assert unpacked <= 2 * containers.allowance(len(data))


def test_a_large_packed_model_is_told_by_its_beginning(tmp_path: Path) -> None:
    joblib.dump({"weights": np.zeros(20 << 20)}, tmp_path / "large", compress=("zlib", 1))
    assert detect(LocalSource(tmp_path / "large")).format == "joblib"


@given(st.binary(max_size=300))
def test_no_bytes_break_the_detection(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(data)
    detect(LocalSource(path))


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_no_damage_breaks_the_detection(
    tmp_path_factory: pytest.TempPathFactory, sample: str, data: st.DataObject
) -> None:
    damaged = bytearray(SAMPLES[sample][1] or b"\x00")
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    detect(LocalSource(path))
