"""The weights of an ONNX model: its initializers, and the constants inside its nodes.

Trees and linear models of the ``ai.onnx.ml`` operators keep what they learned in attributes, so their lists count as weights; of
all other nodes, tensors of more than :data:`SMALL` elements. Where a weight cannot be read there is no digest at all: a wrong "same
weights" would be worse than none.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from regista.artifacts.onnx import ELEMENT_TYPES, messages, open_graph, open_model, tensor_name
from regista.artifacts.protobuf import BrokenMessage, Message
from regista.artifacts.weights import Weight, digest_of_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL = 16
"""Elements up to which a constant is taken for a part of the calculation (an axis, a shape), not a weight."""

_MAX_DEPTH = 16
_EXTERNAL = 1
_LEARNED_DOMAIN = "ai.onnx.ml"
_FLOAT_DATA, _INT32_DATA, _STRING_DATA, _INT64_DATA, _RAW_DATA, _DOUBLE_DATA, _UINT64_DATA = 4, 5, 6, 7, 9, 10, 11
_AS_IT_STANDS = frozenset({_FLOAT_DATA, _RAW_DATA, _DOUBLE_DATA})
# Bytes of one element in raw_data, for the types that may stand as varints instead (onnx.proto, TensorProto.int32_data).
_WIDTHS = {"bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "float16": 2, "bfloat16": 2}
_WIDTHS |= {"int32": 4, "uint32": 4, "int64": 8, "uint64": 8}


@dataclass(frozen=True, slots=True)
class WeightReader:
    """Reads weights; ``external(location, offset, length)`` yields data that the model keeps in another file.

    ``external`` raises :class:`BrokenMessage` for a location that is not part of the artifact.
    """

    external: Callable[[str, int, int | None], Iterator[bytes]]

    def read(self, file: BinaryIO) -> Iterator[Weight]:
        """Hash every weight. Raises :class:`BrokenMessage` where one cannot be read."""
        model = open_model(file)
        yield from self._graph(model.graph, "", _MAX_DEPTH)
        for index, function in enumerate(model.functions):
            nodes = [value for number, value in messages(function) if number == 7]
            yield from self._nodes(nodes, f"function {index}/", _MAX_DEPTH)

    def _graph(self, message: Message, prefix: str, depth: int) -> Iterator[Weight]:
        if depth == 0:
            raise BrokenMessage("graphs are nested too deeply")
        graph = open_graph(message)
        for tensor in graph.initializers:
            yield self._weight(tensor, prefix + tensor_name(tensor))
        for index, sparse in enumerate(graph.sparse):
            yield from self._sparse(sparse, f"{prefix}sparse {index}")
        yield from self._nodes(graph.nodes, prefix, depth)

    def _sparse(self, message: Message, name: str) -> Iterator[Weight]:
        for number, tensor in messages(message):
            if number in (1, 2):
                yield self._weight(tensor, f"{name}/{number}")

    def _nodes(self, nodes: list[Message], prefix: str, depth: int) -> Iterator[Weight]:
        for index, node in enumerate(nodes):
            parts = list(messages(node))
            learned = any(number == 7 and value.text() == _LEARNED_DOMAIN for number, value in parts)
            for number, value in parts:
                if number == 5:
                    yield from self._attribute(value, f"{prefix}node {index}/", depth, learned=learned)

    def _attribute(self, message: Message, prefix: str, depth: int, *, learned: bool) -> Iterator[Weight]:
        """Fields of AttributeProto: name 1, t 5, g 6, floats 7, ints 8, strings 9, tensors 10, graphs 11, sparse 22 and 23."""
        name, lists = prefix, _ListDigest()
        for number, _, value in message.fields():
            if number == 1 and isinstance(value, Message):
                name = prefix + value.text()
            elif number in (7, 8, 9):
                lists.add(number, value, keep=learned)
            elif isinstance(value, Message):
                yield from self._nested(number, value, f"{name}/{number}.{lists.position()}", depth, learned=learned)
        if learned and lists.count:
            yield Weight(name, "list", (lists.count,), digest_of_chunks(lists.chunks))
        elif lists.count > SMALL:
            raise BrokenMessage("a node holds a long list that may be weights or not")

    def _nested(self, number: int, value: Message, name: str, depth: int, *, learned: bool) -> Iterator[Weight]:
        if number in (6, 11):
            yield from self._graph(value, f"{name}/", depth - 1)
        elif number in (5, 10) and (learned or math.prod(_dims(value)) > SMALL):
            yield self._weight(value, name)
        elif number in (22, 23):
            yield from self._sparse(value, name)

    def _weight(self, message: Message, name: str) -> Weight:
        kind = next((v for n, _, v in message.fields() if n == 2 and isinstance(v, int)), 0)
        if not 0 < kind < len(ELEMENT_TYPES):
            raise BrokenMessage("a tensor has no known type")
        return Weight(
            name, ELEMENT_TYPES[kind], _dims(message), digest_of_chunks(self._data(message, ELEMENT_TYPES[kind]))
        )

    def _data(self, message: Message, kind: str) -> Iterator[bytes]:
        """Yield a tensor's bytes as raw_data would hold them, whichever field they stand in."""
        location: dict[str, str] = {}
        external = False
        for number, _, value in message.fields():
            if number == 14:
                external = value == _EXTERNAL
            elif number == 13 and isinstance(value, Message):
                entry = {n: v.text() for n, v in messages(value)}
                location[entry.get(1, "")] = entry.get(2, "")
            else:
                yield from _inline(number, value, kind)
        if external:
            yield from self._elsewhere(location)

    def _elsewhere(self, location: dict[str, str]) -> Iterator[bytes]:
        try:
            offset = int(location.get("offset", "0"))
            length = int(location["length"]) if "length" in location else None
        except ValueError as error:
            raise BrokenMessage("external data has no readable place") from error
        if offset < 0 or (length is not None and length < 0):
            raise BrokenMessage("external data has no readable place")
        yield from self.external(location.get("location", ""), offset, length)


def _inline(number: int, value: int | Message, kind: str) -> Iterator[bytes]:
    if number in _AS_IT_STANDS and isinstance(value, Message):
        yield from value.chunks()
    elif number == _STRING_DATA and isinstance(value, Message):
        yield struct.pack("<Q", value.size)
        yield from value.chunks()
    elif number in (_INT32_DATA, _INT64_DATA, _UINT64_DATA):
        width = _WIDTHS.get(kind)
        if width is None:
            raise BrokenMessage(f"a tensor of {kind} stands as numbers")
        numbers = value.varints() if isinstance(value, Message) else iter((value,))
        for item in numbers:
            yield (item & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def _dims(message: Message) -> tuple[int, ...]:
    dims: list[int] = []
    for number, _, value in message.fields():
        if number == 1:
            dims.extend(value.varints() if isinstance(value, Message) else (value,))
    return tuple(dims)


class _ListDigest:
    """The elements of an attribute's lists: their number, and what is hashed of them."""

    def __init__(self) -> None:
        self.count = 0
        self.chunks: list[bytes] = []
        self._nested = 0

    def position(self) -> int:
        """Number the nested tensors and graphs of one attribute."""
        self._nested += 1
        return self._nested

    def add(self, number: int, value: int | Message, *, keep: bool) -> None:
        """Take one list field, packed or not: 7 floats, 8 integers, 9 strings."""
        if number == 9 and isinstance(value, Message):
            self.count += 1
            pieces = [struct.pack("<Q", value.size), *value.chunks()]
        elif isinstance(value, int):
            self.count += 1
            pieces = [value.to_bytes(8, "little")]
        elif number == 7:
            self.count += value.size // 4
            pieces = list(value.chunks())
        else:
            numbers = [item.to_bytes(8, "little") for item in value.varints()]
            self.count += len(numbers)
            pieces = numbers
        if keep:
            self.chunks.extend(pieces)
