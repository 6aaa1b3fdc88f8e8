"""Loading a model from files that were verified, by the format that their bytes have.

Formats that hold numbers alone are always loaded. A pickle is a program: one is loaded only where the operator said so,
and only if all that it imports is on the registry's list of names that hold data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from regista.artifacts.formats import UNKNOWN, detect
from regista.artifacts.pickles import scan_files
from regista.artifacts.source import LocalSource
from regista.domain.errors import Invalid, Refused
from regista.serving import linear


class Model(Protocol):
    """What answers."""

    def predict(self, inputs: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """What the model makes of the inputs: JSON in, JSON out.

        Raises:
            Invalid: ``bad_inputs``.
        """


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model and the format that it was loaded from."""

    model: Model
    format: str


def load(folder: Path, *, allow_pickle: bool = False) -> Loaded:
    """Load the one model in a folder.

    Raises:
        Invalid: ``unsupported_format``, ``bad_model``.
        Refused: ``pickle_refused``.
    """
    source = LocalSource(folder)
    found = detect(source)
    candidates = found.files_of(found.format)
    if found.format == UNKNOWN:
        candidates = tuple(path for path in source.files if path.endswith(".json"))
    if len(candidates) != 1:
        raise Invalid(
            f"of {len(source.files)} files {len(candidates)} are models that can be served ({found.format})",
            code="unsupported_format",
            hint=f"Put one file into the artifact: safetensors, ONNX, JSON of type {linear.JSON_TYPE}, or a pickle.",
        )
    file = folder / candidates[0]
    match found.format:
        case "safetensors":
            return Loaded(linear.from_safetensors(file), found.format)
        case "onnx":
            return Loaded(_onnx(file), found.format)
        case "joblib" | "pickle":
            return Loaded(_pickled(source, file, candidates[0], allow_pickle=allow_pickle), found.format)
        case "unknown":
            return Loaded(linear.from_json(file), linear.JSON_TYPE)
    raise Invalid(f"{found.format} is not served here", code="unsupported_format")


class _Onnx:
    """By onnxruntime where it is installed, else by the reference evaluator, which is slow and exact."""

    def __init__(self, file: Path) -> None:
        import numpy as np  # noqa: PLC0415 - not there on every machine

        self._np = np
        self._session: Any
        try:
            import onnxruntime  # type: ignore[import-not-found]  # not there on every machine  # noqa: PLC0415
        except ImportError:
            from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - as above

            self._session = ReferenceEvaluator(str(file))
            inputs = [(value.name, value.type.tensor_type.elem_type) for value in self._session.proto_.graph.input]
            from onnx.helper import tensor_dtype_to_np_dtype  # noqa: PLC0415 - as above

            self._inputs = {name: np.dtype(tensor_dtype_to_np_dtype(kind)) for name, kind in inputs}
        else:
            self._session = onnxruntime.InferenceSession(str(file))
            kinds = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}
            self._inputs = {
                value.name: np.dtype(kinds.get(value.type, "float32")) for value in self._session.get_inputs()
            }

    def predict(self, inputs: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        given: Mapping[str, Any] = inputs if isinstance(inputs, dict) else {next(iter(self._inputs)): inputs}
        if given.keys() != self._inputs.keys():
            raise _bad_inputs(f"the model takes {', '.join(self._inputs)}")
        try:
            arrays = {name: self._np.asarray(value, dtype=self._inputs[name]) for name, value in given.items()}
            answers = self._session.run(None, arrays)
        except Exception as error:
            raise _bad_inputs(f"{type(error).__name__}: {error}") from error
        plain = [answer.tolist() if hasattr(answer, "tolist") else answer for answer in answers]
        return plain[0] if len(plain) == 1 else plain


def _onnx(file: Path) -> Model:
    try:
        return _Onnx(file)
    except ImportError as error:
        raise Invalid(
            f"ONNX cannot be loaded here: {error}", code="unsupported_format", hint="pip install onnxruntime"
        ) from error


class _Estimator:
    """scikit-learn's convention: ``predict_proba`` where there is one, else ``predict``."""

    def __init__(self, estimator: Any) -> None:  # noqa: ANN401 - any class
        self._call = getattr(estimator, "predict_proba", None) or estimator.predict

    def predict(self, inputs: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        try:
            answer = self._call(inputs)
        except (ValueError, TypeError) as error:
            raise _bad_inputs(str(error)) from error
        return answer.tolist() if hasattr(answer, "tolist") else answer


def _pickled(source: LocalSource, file: Path, path: str, *, allow_pickle: bool) -> Model:
    report = scan_files(source, [path])
    if not allow_pickle or report.disallowed or not report.complete:
        why = "nobody allowed it here" if not allow_pickle else report.problem or ", ".join(report.disallowed[:5])
        raise Refused(
            f"{path} is a program, and is not loaded: {why}",
            code="pickle_refused",
            hint="Save the model as ONNX or safetensors, or start the server with --allow-pickle.",
        )
    try:
        import joblib  # noqa: PLC0415 - not there on every machine
    except ImportError as error:
        raise Invalid(
            f"a pickle needs joblib: {error}", code="unsupported_format", hint="pip install joblib"
        ) from error
    return _Estimator(joblib.load(file))


def _bad_inputs(detail: str) -> Invalid:
    return Invalid(f"the model does not take these inputs: {detail}"[:500], code="bad_inputs")
