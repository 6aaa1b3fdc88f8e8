"""Reading ONNX models without onnx or protobuf: interface and weights, straight from the wire format.

Field numbers are those of onnx/onnx.proto (IR version 10 and before); new fields are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from regista.artifacts.protobuf import BYTES, VARINT, BrokenMessage, Message, signed
from regista.domain.metadata import Signature, TensorField

if TYPE_CHECKING:
    from collections.abc import Iterator

ELEMENT_TYPES = (
    *("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16"),
    *("float64", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz"),
    *("float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0", "uint2", "int2"),
)
"""Names of TensorProto.DataType by number."""

_MODEL_FIELDS = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES}
_MODEL_FIELDS |= {14: BYTES, 20: BYTES, 25: BYTES, 26: BYTES}
_NEWEST_IR = 100
_NODE_OR_OUTPUT = (1, 12)
_PARTS_LIMIT = 300_000
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Graph:
    """The parts of a GraphProto, unread."""

    nodes: list[Message] = field(default_factory=list)
    initializers: list[Message] = field(default_factory=list)
    sparse: list[Message] = field(default_factory=list)
    inputs: list[Message] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Model:
    """The parts of a ModelProto, unread; ``functions`` are FunctionProtos."""

    ir_version: int
    graph: Message
    functions: tuple[Message, ...]


def open_model(file: BinaryIO) -> Model:
    """Read the outermost fields. Raises :class:`BrokenMessage` unless they are those of an ONNX model, to the last byte."""
    seen: dict[int, list[int | Message]] = {}
    for count, (number, wire, value) in enumerate(Message.of(file).fields()):
        if _MODEL_FIELDS.get(number) != wire or count > _PARTS_LIMIT:
            raise BrokenMessage("it is no ONNX model")
        seen.setdefault(number, []).append(value)
    ir_version, graph = seen.get(1, [0])[-1], seen.get(7, [0])[-1]
    if not isinstance(ir_version, int) or not 0 < ir_version < _NEWEST_IR or not isinstance(graph, Message):
        raise BrokenMessage("it is no ONNX model")
    if not seen.get(8) and ir_version >= 3:
        raise BrokenMessage("it is no ONNX model: no operator set")
    return Model(ir_version, graph, tuple(value for value in seen.get(25, []) if isinstance(value, Message)))


def is_onnx(file: BinaryIO) -> bool:
    """Whether a file is an ONNX model with a graph that can be walked."""
    try:
        numbers = {number for number, _ in messages(open_model(file).graph)}
    except BrokenMessage:
        return False
    return not numbers.isdisjoint(_NODE_OR_OUTPUT)


def open_graph(message: Message) -> Graph:
    """Sort the fields of a GraphProto."""
    graph = Graph()
    kinds = {1: graph.nodes, 5: graph.initializers, 11: graph.inputs, 12: graph.outputs, 15: graph.sparse}
    for count, (number, value) in enumerate(messages(message)):
        if count > _PARTS_LIMIT:
            raise BrokenMessage("its graph has more parts than are followed")
        if number in kinds:
            kinds[number].append(value)
    return graph


def messages(message: Message) -> Iterator[tuple[int, Message]]:
    """Yield only the length-delimited fields of a message."""
    for number, wire, value in message.fields():
        if wire == BYTES and isinstance(value, Message):
            yield number, value


def read_signature(file: BinaryIO) -> Signature:
    """Return inputs and outputs; inputs that have an initializer are weights, not inputs. Raises :class:`BrokenMessage`."""
    graph = open_graph(open_model(file).graph)
    initialized = {tensor_name(message) for message in graph.initializers}
    initialized |= {tensor_name(v) for message in graph.sparse for n, v in messages(message) if n == 1}
    inputs = (_value_info(message) for message in graph.inputs)
    return Signature(
        inputs=tuple(value for value in inputs if value.name not in initialized),
        outputs=tuple(_value_info(message) for message in graph.outputs),
    )


def tensor_name(message: Message) -> str:
    """Return a TensorProto's name."""
    return next((value.text() for number, value in messages(message) if number == 8), "")


def _value_info(message: Message) -> TensorField:
    name, kind = "", TensorField("", "unknown")
    for number, value in messages(message):
        if number == 1:
            name = value.text()
        elif number == 2:
            kind = _type(value, _MAX_DEPTH)
    return TensorField(name, kind.type, kind.shape, kind.optional)


def _type(message: Message, depth: int) -> TensorField:
    """Read a TypeProto as a field without a name; containers are written ``seq(…)`` and ``map(…,…)``."""
    if depth == 0:
        raise BrokenMessage("types are nested too deeply")
    for number, value in messages(message):
        if number in (1, 8):
            return _tensor_type(value, sparse=number == 8)
        if number == 4:
            return TensorField("", f"seq({_inner(value, 1, depth)})")
        if number == 5:
            key = next((v for n, _, v in value.fields() if n == 1 and isinstance(v, int)), 0)
            return TensorField("", f"map({_element(key)},{_inner(value, 2, depth)})")
        if number == 9:
            inner = next((_type(v, depth - 1) for n, v in messages(value) if n == 1), TensorField("", "unknown"))
            return TensorField("", inner.type, inner.shape, optional=True)
    return TensorField("", "unknown")


def _inner(message: Message, number: int, depth: int) -> str:
    return next((_type(value, depth - 1).type for n, value in messages(message) if n == number), "unknown")


def _tensor_type(message: Message, *, sparse: bool) -> TensorField:
    kind, shape = "undefined", None
    for number, _, value in message.fields():
        if number == 1 and isinstance(value, int):
            kind = _element(value)
        elif number == 2 and isinstance(value, Message):
            shape = tuple(_dimension(v) for n, v in messages(value) if n == 1)
    return TensorField("", f"sparse({kind})" if sparse else kind, shape)


def _dimension(message: Message) -> int | None:
    """Return a fixed length; None for a symbolic, negative or absent one."""
    length = next((signed(v) for n, _, v in message.fields() if n == 1 and isinstance(v, int)), -1)
    return length if length >= 0 else None


def _element(number: int) -> str:
    return ELEMENT_TYPES[number] if number < len(ELEMENT_TYPES) else f"type{number}"
