"""What can be read from a model's bytes about its interface and its weights, by format.

============  ==================  ===============================================================================
format        signature           weights digest
============  ==================  ===============================================================================
onnx          inputs and outputs  initializers and learned attributes, external data included
safetensors   none: weights only  every tensor of every file; the same however they are spread over files
others        none                none: weights cannot be told from configuration
============  ==================  ===============================================================================
"""

from __future__ import annotations

from posixpath import dirname, normpath
from typing import TYPE_CHECKING

from regista.artifacts import onnx, safetensors
from regista.artifacts.digests import CHUNK
from regista.artifacts.onnx_weights import WeightReader
from regista.artifacts.protobuf import BrokenMessage
from regista.artifacts.source import open_file
from regista.artifacts.weights import Weight, digest_of_weights
from regista.domain.metadata import Signature, TensorField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regista.artifacts.formats import Detection
    from regista.artifacts.source import Source


def read_signature(source: Source, detection: Detection) -> Signature | None:
    """Return inputs and outputs where the format has them and exactly one file defines them; None otherwise."""
    models = detection.files_of("onnx")
    if detection.format != "onnx" or len(models) != 1:
        return None
    try:
        with open_file(source, models[0]) as file:
            return onnx.read_signature(file)
    except BrokenMessage:
        return None


def read_tensors(source: Source, detection: Detection) -> tuple[TensorField, ...]:
    """Return names, types and shapes of the tensors in safetensors files; nothing for other formats."""
    try:
        return tuple(
            field for path in detection.files_of("safetensors") for field in safetensors.tensor_fields(source, path)
        )
    except safetensors.NotSafetensors:
        return ()


def weights_digest(source: Source, detection: Detection) -> str | None:
    """Return the digest that is equal where the weights are; None where they cannot be told apart. Reads all of the weights."""
    try:
        return digest_of_weights(list(_weights(source, detection)))
    except (BrokenMessage, safetensors.NotSafetensors):
        return None


def _weights(source: Source, detection: Detection) -> Iterator[Weight]:
    if detection.format == "safetensors":
        for path in detection.files_of("safetensors"):
            yield from safetensors.read_weights(source, path)
    elif detection.format == "onnx":
        models = detection.files_of("onnx")
        for path in models:
            prefix = f"{path}/" if len(models) > 1 else ""
            with open_file(source, path) as file:
                for weight in WeightReader(_external(source, path)).read(file):
                    yield Weight(prefix + weight.name, weight.type, weight.shape, weight.sha256)


def _external(source: Source, model: str) -> Callable[[str, int, int | None], Iterator[bytes]]:
    """Return a reader of the data that an ONNX model keeps in files beside it (onnx.proto, TensorProto.external_data)."""

    def read(location: str, offset: int, length: int | None) -> Iterator[bytes]:
        path = normpath(f"{dirname(model)}/{location}".lstrip("/"))
        size = source.files.get(path)
        stop = offset + length if length is not None else size
        if size is None or stop is None or stop > size:
            raise BrokenMessage("external data is not part of the artifact")
        for start in range(offset, stop, CHUNK):
            yield source.read(path, start, min(CHUNK, stop - start))

    return read
