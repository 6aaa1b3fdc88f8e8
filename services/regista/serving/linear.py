"""Linear models in files that hold numbers and nothing else: safetensors, or JSON.

``weights`` has a row for each output; ``bias`` has a number for each. Without a bias a row may have one number more than
there are inputs: it is added. ``link`` makes scores what is answered: ``identity``, ``logistic`` or ``softmax``; in
safetensors it stands in the metadata. Where none is named, several rows are scores of classes: ``softmax``.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regista.domain.errors import Invalid

JSON_TYPE = "regista.linear.v1"
_HEADER_LIMIT = 1 << 20
_NUMBERS = {"F64": ("d", 8), "F32": ("f", 4)}
LINKS = ("identity", "logistic", "softmax")


@dataclass(frozen=True, slots=True)
class Linear:
    """Scores of rows of numbers, in the standard library's floats: a few microseconds for a handful of inputs."""

    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...] | None
    link: str

    def predict(self, inputs: Any) -> list[list[float]]:  # noqa: ANN401 - what a caller sent
        """For each row of inputs a list with a number for each output.

        Raises:
            Invalid: ``bad_inputs``.
        """
        if not isinstance(inputs, list):
            raise _bad("inputs is not a list of rows")
        return [self._row(row) for row in inputs]

    def _row(self, row: Any) -> list[float]:  # noqa: ANN401 - what a caller sent
        width = len(self.weights[0])
        if not isinstance(row, list) or not all(type(value) in {int, float} for value in row):
            raise _bad("a row of inputs is a list of numbers")
        if len(row) == width - 1 and self.bias is None:
            row = [*row, 1.0]
        if len(row) != width:
            raise _bad(f"a row has {len(row)} numbers, the model takes {width if self.bias else width - 1}")
        scores = [sum(w * value for w, value in zip(weights, row, strict=True)) for weights in self.weights]
        if self.bias:
            scores = [score + bias for score, bias in zip(scores, self.bias, strict=True)]
        if not all(map(math.isfinite, scores)):
            raise _bad("the numbers are too large")
        return _linked(scores, self.link)


def from_json(file: Path) -> Linear:
    """A model from ``{"type": "regista.linear.v1", "weights": [[…]], "bias": […], "link": …}``.

    Raises:
        Invalid: ``bad_model``.
    """
    try:
        value = json.loads(file.read_bytes())
        if value["type"] != JSON_TYPE:
            raise _broken(file, f"its type is not {JSON_TYPE}")
        return _model(file, value["weights"], value.get("bias"), value.get("link"))
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(file, f"{type(error).__name__}: {error}") from error


def from_safetensors(file: Path) -> Linear:
    """A model from the tensors ``weights`` and, where there is one, ``bias``.

    Raises:
        Invalid: ``bad_model``.
    """
    data = file.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > _HEADER_LIMIT:
            raise _broken(file, "its header is too long")
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        if not {"weights"} <= header.keys() <= {"weights", "bias"}:
            raise _broken(file, f"a linear model has weights and a bias, not {', '.join(sorted(header)[:8])}")
        rows, columns = header["weights"]["shape"]
        flat = _numbers(data[8 + length :], header["weights"])
        weights = [flat[row * columns : (row + 1) * columns] for row in range(rows)]
        bias = _numbers(data[8 + length :], header["bias"]) if "bias" in header else None
        return _model(file, weights, bias, metadata.get("link"))
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise _broken(file, f"{type(error).__name__}: {error}") from error


def _numbers(data: bytes, tensor: dict[str, Any]) -> list[float]:
    kind, size = _NUMBERS[tensor["dtype"]]
    start, stop = tensor["data_offsets"]
    return list(struct.unpack(f"<{(stop - start) // size}{kind}", data[start:stop]))


def _model(file: Path, weights: Sequence[Sequence[float]], bias: Sequence[float] | None, link: str | None) -> Linear:
    rows = tuple(tuple(map(float, row)) for row in weights)
    offsets = tuple(map(float, bias)) if bias is not None else None
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        raise _broken(file, "its rows are not of one length")
    if offsets is not None and len(offsets) != len(rows):
        raise _broken(file, "it has not one bias for each output")
    if not all(math.isfinite(value) for row in (*rows, offsets or ()) for value in row):
        raise _broken(file, "it has a number that is none")
    chosen = link or ("softmax" if len(rows) > 1 else "identity")
    if chosen not in LINKS:
        raise _broken(file, f"{chosen} is none of {', '.join(LINKS)}")
    return Linear(rows, offsets, chosen)


def _linked(scores: list[float], link: str) -> list[float]:
    if link == "softmax":
        powers = [math.exp(score - max(scores)) for score in scores]
        return [power / sum(powers) for power in powers]
    if link == "logistic":
        return [0.5 * (1 + math.tanh(score / 2)) for score in scores]
    return scores


def _bad(detail: str) -> Invalid:
    return Invalid(detail, code="bad_inputs", hint='{"inputs": [[1.0, 2.0], [3.0, 4.0]]}: a list of rows of numbers.')


def _broken(file: Path, detail: str) -> Invalid:
    return Invalid(f"{file.name} is no linear model: {detail}", code="bad_model")
