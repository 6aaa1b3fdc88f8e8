"""Reading safetensors files: eight bytes of length, a JSON header, then the data (github.com/huggingface/safetensors).

The header names tensors, not inputs and outputs: the format holds weights only, so there is no signature to read from it.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regista.artifacts.digests import CHUNK
from regista.artifacts.weights import Weight, digest_of_chunks
from regista.domain.metadata import TensorField

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regista.artifacts.source import Source

HEADER_LIMIT = 25 << 20
"""Bytes of a header that is read: a quarter of what the format allows, some 200,000 tensors."""

_TYPES = {
    "BOOL": ("bool", 8),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "U16": ("uint16", 16),
    "I16": ("int16", 16),
    "U32": ("uint32", 32),
    "I32": ("int32", 32),
    "U64": ("uint64", 64),
    "I64": ("int64", 64),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F32": ("float32", 32),
    "F64": ("float64", 64),
    "C64": ("complex64", 64),
    "F8_E5M2": ("float8e5m2", 8),
    "F8_E4M3": ("float8e4m3fn", 8),
    "F8_E8M0": ("float8e8m0", 8),
    "F4": ("float4e2m1", 4),
    "F6_E2M3": ("float6e2m3", 6),
    "F6_E3M2": ("float6e3m2", 6),
}


@dataclass(frozen=True, slots=True)
class _Tensor:
    field: TensorField
    start: int
    stop: int


class NotSafetensors(Exception):
    """The bytes are no safetensors file, or its header is larger than is read."""


def is_safetensors(source: Source, path: str) -> bool:
    """Whether a file holds together as safetensors: header, types, shapes and offsets up to the last byte."""
    try:
        _header(source, path)
    except NotSafetensors:
        return False
    return True


def tensor_fields(source: Source, path: str) -> tuple[TensorField, ...]:
    """Return the tensors' names, types and shapes, by name. Raises :class:`NotSafetensors`."""
    return tuple(tensor.field for tensor in _header(source, path))


def read_weights(source: Source, path: str) -> Iterator[Weight]:
    """Hash each tensor's data. Raises :class:`NotSafetensors`."""
    for tensor in _header(source, path):
        shape = tuple(length or 0 for length in tensor.field.shape or ())
        yield Weight(tensor.field.name, tensor.field.type, shape, digest_of_chunks(_data(source, path, tensor)))


def _data(source: Source, path: str, tensor: _Tensor) -> Iterator[bytes]:
    for offset in range(tensor.start, tensor.stop, CHUNK):
        yield source.read(path, offset, min(CHUNK, tensor.stop - offset))


def _header(source: Source, path: str) -> list[_Tensor]:
    size = source.files[path]
    head = source.read(path, 0, 9)
    if len(head) < 9 or head[8:] != b"{":
        raise NotSafetensors
    (length,) = struct.unpack("<Q", head[:8])
    if length > min(HEADER_LIMIT, size - 8):
        raise NotSafetensors
    try:
        header = json.loads(source.read(path, 8, length))
    except (ValueError, RecursionError) as error:
        raise NotSafetensors from error
    header.pop("__metadata__", None)
    tensors = sorted((_tensor(name, entry, 8 + length) for name, entry in header.items()), key=lambda t: t.start)
    position = 8 + length
    for tensor in tensors:
        if tensor.start != position:
            raise NotSafetensors
        position = tensor.stop
    if position != size:
        raise NotSafetensors
    return sorted(tensors, key=lambda tensor: tensor.field.name)


def _tensor(name: str, entry: Any, base: int) -> _Tensor:  # noqa: ANN401 - a piece of foreign JSON
    try:
        kind, bits = _TYPES.get(entry["dtype"], (str(entry["dtype"]).lower(), None))
        shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise NotSafetensors from error
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)) or stop < start:
        raise NotSafetensors
    if bits is not None and (stop - start) * 8 != math.prod(shape) * bits:
        raise NotSafetensors
    return _Tensor(TensorField(name, kind, shape), base + start, base + stop)
