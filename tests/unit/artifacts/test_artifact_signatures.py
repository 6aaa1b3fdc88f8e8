"""Interface and weights are read from real files, and agree with what the libraries that wrote them say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from regista.artifacts.formats import detect
from regista.artifacts.signatures import read_signature, read_tensors, weights_digest
from regista.artifacts.source import LocalSource
from regista.domain.metadata import Signature, TensorField

Proto: TypeAlias = Any
"""The onnx package's messages and helpers carry no types."""

WEIGHTS = np.arange(40, dtype="float32").reshape(2, 20)


def info(name: str, kind: int = TensorProto.FLOAT, shape: list[Proto] | None = None) -> Proto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    initializers: list[Proto], *, inputs: list[Proto] | None = None, nodes: list[Proto] | None = None, **more: Proto
) -> Proto:
    graph = helper.make_graph(
        nodes or [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        inputs or [info("x", shape=["batch", 2])],
        [info("y", shape=["batch", 20])],
        initializer=initializers,
    )
    return helper.make_model(graph, **more)


def signature_of(path: Path) -> Signature | None:
    source = LocalSource(path)
    return read_signature(source, detect(source))


def digest_of(path: Path) -> str | None:
    source = LocalSource(path)
    return weights_digest(source, detect(source))


def saved(path: Path, proto: Proto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def test_inputs_and_outputs_of_onnx(tmp_path: Path) -> None:
    sequence = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    optional = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, [3]))
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "graph",
            [
                info("x", TensorProto.FLOAT16, ["batch", 3, None]),
                info("text", TensorProto.STRING, [1]),
                info("scalar", TensorProto.BOOL, []),
                info("unshaped", TensorProto.DOUBLE),
                helper.make_value_info("maybe", optional),
                info("w", TensorProto.FLOAT, [2, 20]),
            ],
            [helper.make_value_info("probabilities", sequence)],
            initializer=[numpy_helper.from_array(WEIGHTS, "w")],
        )
    )
    assert signature_of(saved(tmp_path / "m", proto)) == Signature(
        inputs=(
            TensorField("x", "float16", (None, 3, None)),
            TensorField("text", "string", (1,)),
            TensorField("scalar", "bool", ()),
            TensorField("unshaped", "float64"),
            TensorField("maybe", "int64", (3,), optional=True),
        ),
        outputs=(TensorField("probabilities", "seq(map(int64,float32))"),),
    )


def test_weights_of_onnx_do_not_depend_on_how_they_are_written(tmp_path: Path) -> None:
    raw = numpy_helper.from_array(WEIGHTS, "w")
    spelled_out = helper.make_tensor("w", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS.ravel().tolist())
    plain = digest_of(saved(tmp_path / "a", model([raw])))
    assert plain is not None
    assert digest_of(saved(tmp_path / "b", model([spelled_out]))) == plain
    assert digest_of(saved(tmp_path / "c", model([raw], producer_name="other", doc_string="described"))) == plain
    (tmp_path / "d").mkdir()
    onnx.save(model([raw]), tmp_path / "d" / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "d" / "w.bin").exists()
    assert digest_of(tmp_path / "d") == plain


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "int64", "uint64", "bool", "float16", "float64"])
def test_every_type_reads_the_same_raw_and_spelled_out(tmp_path: Path, kind: str) -> None:
    values = np.array([0, 1, 3, 7], dtype=kind)
    raw = numpy_helper.from_array(values, "w")
    listed = values.view("uint16").tolist() if kind == "float16" else values.tolist()
    spelled_out = onnx.TensorProto(name="w", data_type=raw.data_type, dims=[4])
    where = {"int64": "int64_data", "uint64": "uint64_data", "float64": "double_data"}.get(kind, "int32_data")
    getattr(spelled_out, where).extend([int(v) if kind != "float64" else v for v in listed])
    first, second = (
        digest_of(saved(tmp_path / "a", model([raw]))),
        digest_of(saved(tmp_path / "b", model([spelled_out]))),
    )
    assert first is not None
    assert first == second


def test_negative_numbers_keep_their_width(tmp_path: Path) -> None:
    values = np.array([-1, -128, 5], dtype="int8")
    spelled_out = helper.make_tensor("w", TensorProto.INT8, [3], values.tolist())
    raw = numpy_helper.from_array(values, "w")
    assert digest_of(saved(tmp_path / "a", model([raw]))) == digest_of(saved(tmp_path / "b", model([spelled_out])))


@pytest.mark.parametrize("change", ["value", "name", "shape", "type"])
def test_other_weights_have_another_digest(tmp_path: Path, change: str) -> None:
    other = {
        "value": numpy_helper.from_array(WEIGHTS + 1, "w"),
        "name": numpy_helper.from_array(WEIGHTS, "v"),
        "shape": numpy_helper.from_array(WEIGHTS.reshape(20, 2), "w"),
        "type": numpy_helper.from_array(WEIGHTS.view("int32"), "w"),
    }[change]
    first = digest_of(saved(tmp_path / "a", model([numpy_helper.from_array(WEIGHTS, "w")])))
    second = digest_of(saved(tmp_path / "b", model([other])))
    assert first is not None
    assert second is not None
    assert first != second


def test_what_trees_and_linear_models_learned_counts_as_weights(tmp_path: Path) -> None:
    def linear(coefficients: list[float]) -> Proto:
        node = helper.make_node("LinearClassifier", ["x"], ["y"], domain="ai.onnx.ml", coefficients=coefficients)
        return model([], nodes=[node], opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)])

    first = digest_of(saved(tmp_path / "a", linear([0.5, 1.5])))
    assert first is not None
    assert digest_of(saved(tmp_path / "b", linear([0.5, 1.5]))) == first
    assert digest_of(saved(tmp_path / "c", linear([0.5, 1.6]))) != first


def test_large_constants_count_as_weights_and_small_ones_do_not(tmp_path: Path) -> None:
    def with_constant(values: Proto) -> Proto:
        nodes = [
            helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(values, "float32"))),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ]
        return model([numpy_helper.from_array(WEIGHTS, "w")], nodes=nodes)

    threshold = digest_of(saved(tmp_path / "a", with_constant([0.5])))
    assert threshold is not None
    assert digest_of(saved(tmp_path / "b", with_constant([0.7]))) == threshold
    assert digest_of(saved(tmp_path / "c", with_constant(range(17)))) != threshold


def test_weights_that_cannot_be_read_have_no_digest(tmp_path: Path) -> None:
    assert digest_of(saved(tmp_path / "none", model([]))) is None
    outside = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../../etc/passwd")
    assert digest_of(saved(tmp_path / "outside", model([outside]))) is None
    (tmp_path / "pickle").write_bytes(b"\x80\x04]\x94.")
    assert digest_of(tmp_path / "pickle") is None


def test_weights_in_subgraphs_are_found(tmp_path: Path) -> None:
    def branching(value: float) -> Proto:
        def branch(name: str, weight: float) -> Proto:
            tensor = numpy_helper.from_array(np.full(20, weight, "float32"), "w")
            return helper.make_graph([helper.make_node("Identity", ["w"], [name])], name, [], [info(name)], [tensor])

        node = helper.make_node("If", ["x"], ["y"], then_branch=branch("t", value), else_branch=branch("e", 0.0))
        return model([], nodes=[node])

    first, second = (digest_of(saved(tmp_path / str(value), branching(value))) for value in (1.0, 2.0))
    assert first is not None
    assert second is not None
    assert first != second


def test_tensors_of_safetensors(tmp_path: Path) -> None:
    tensors = {"b": np.ones((2, 3), "float16"), "a": np.zeros((), "int64"), "empty": np.zeros((0, 4), "float32")}
    safetensors.numpy.save_file(tensors, tmp_path / "m", {"format": "np"})
    source = LocalSource(tmp_path / "m")
    detection = detect(source)
    assert read_signature(source, detection) is None
    assert read_tensors(source, detection) == (
        TensorField("a", "int64", ()),
        TensorField("b", "float16", (2, 3)),
        TensorField("empty", "float32", (0, 4)),
    )


def test_weights_of_safetensors_do_not_depend_on_metadata_or_files(tmp_path: Path) -> None:
    tensors = {name: np.full((3, 3), number, "float32") for number, name in enumerate("abcd")}
    safetensors.numpy.save_file(tensors, tmp_path / "plain", {"threshold": "0.5"})
    safetensors.numpy.save_file(tensors, tmp_path / "described", {"threshold": "0.7", "note": "recalibrated"})
    shards = tmp_path / "shards"
    shards.mkdir()
    safetensors.numpy.save_file({k: tensors[k] for k in "ca"}, shards / "1")
    safetensors.numpy.save_file({k: tensors[k] for k in "db"}, shards / "2")
    retrained = tmp_path / "retrained"
    safetensors.numpy.save_file({**tensors, "a": tensors["a"] + 1}, retrained)
    plain = digest_of(tmp_path / "plain")
    assert plain is not None
    assert digest_of(tmp_path / "described") == plain
    assert digest_of(shards) == plain
    assert digest_of(retrained) != plain


@given(st.data())
def test_no_damage_breaks_the_readers(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = model([numpy_helper.from_array(WEIGHTS, "w")]).SerializeToString()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(damaged)
    signature_of(path)
    digest_of(path)
