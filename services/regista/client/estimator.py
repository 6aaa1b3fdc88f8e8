"""A model object as a file, and what can be told of its inputs and outputs without calling it."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from regista.domain.errors import Invalid

Field = dict[str, Any]


def dump(model: Any, directory: Path) -> Path:  # noqa: ANN401 - any object
    """Write the object into a file of ``directory``: scikit-learn's with joblib where that is there, others as a pickle.

    Raises:
        Invalid: ``not_serializable``.
    """
    joblib_dump = _joblib_dump() if _is_sklearn(model) else None
    path = directory / ("model.joblib" if joblib_dump else "model.pkl")
    try:
        if joblib_dump:
            joblib_dump(model, path)
        else:
            path.write_bytes(pickle.dumps(model, protocol=5))
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(
            f"{type(model).__qualname__} cannot be written as a file: {error}",
            code="not_serializable",
            hint="Save it with its own library, and register the path of that file or folder.",
        ) from error
    return path


def hyperparameters(model: Any) -> dict[str, Any]:  # noqa: ANN401 - any object
    """What ``get_params`` of scikit-learn says, as far as it is text, numbers and truth values."""
    if not _is_sklearn(model):
        return {}
    return {name: value for name, value in model.get_params(deep=True).items() if _is_scalar(value)}


def guess_signature(model: Any, example: Any = None) -> dict[str, list[Field]] | None:  # noqa: ANN401 - any object
    """Inputs and outputs of a fitted scikit-learn model; None where they cannot be told.

    ``example`` is what the model is called with: a data frame gives the types of its columns, an array its own. Without
    one the columns have the type ``any``, since a pipeline may take text where its last step takes numbers.
    """
    inputs = _inputs(model, example)
    outputs = _outputs(model)
    return {"inputs": inputs, "outputs": outputs} if inputs and outputs else None


def _inputs(model: Any, example: Any) -> list[Field]:  # noqa: ANN401 - any objects
    if hasattr(example, "columns") and hasattr(example, "dtypes"):
        return [
            {"name": str(name), "type": _type_of(kind)}
            for name, kind in zip(example.columns, example.dtypes, strict=True)
        ]
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [{"name": str(name), "type": "any"} for name in names]
    if hasattr(example, "dtype") and hasattr(example, "shape"):
        return [{"name": "X", "type": _type_of(example.dtype), "shape": [None, *map(int, example.shape[1:])]}]
    count = getattr(model, "n_features_in_", None)
    if isinstance(count, int):
        return [{"name": "X", "type": "any", "shape": [None, count]}]
    return []


def _outputs(model: Any) -> list[Field]:  # noqa: ANN401 - any object
    classes = getattr(model, "classes_", None)
    if classes is not None and hasattr(classes, "dtype") and callable(getattr(model, "predict", None)):
        label = {"name": "label", "type": _type_of(classes.dtype), "shape": [None]}
        if not callable(getattr(model, "predict_proba", None)):
            return [label]
        return [label, {"name": "probability", "type": "float64", "shape": [None, len(classes)]}]
    if _asks("is_regressor", model):
        count = getattr(model, "n_outputs_", 1)
        return [{"name": "prediction", "type": "float64", "shape": [None] if count == 1 else [None, int(count)]}]
    if _asks("is_clusterer", model):
        return [{"name": "cluster", "type": "int64", "shape": [None]}]
    return []


def _type_of(dtype: Any) -> str:  # noqa: ANN401 - a dtype of numpy, pandas or polars
    kind = getattr(dtype, "kind", None)
    if kind in {"U", "S", "T"}:
        return "string"
    name = str(dtype).lower()
    if name in {"object", "str", "string", "category", "categorical", "utf8"} or name.startswith("string"):
        return "string"
    return {"boolean": "bool"}.get(name, name)


def _is_sklearn(model: Any) -> bool:  # noqa: ANN401 - any object
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(model, base.BaseEstimator)


def _asks(question: str, model: Any) -> bool:  # noqa: ANN401 - any object
    if not _is_sklearn(model):
        return False
    answer = getattr(sys.modules["sklearn.base"], question, None)
    return bool(answer and answer(model))


def _joblib_dump() -> Callable[[Any, Path], object] | None:
    try:
        dump: Callable[[Any, Path], object] = import_module("joblib").dump
    except ImportError:
        return None
    return dump


def _is_scalar(value: Any) -> bool:  # noqa: ANN401 - any object
    if isinstance(value, bool | str | None):
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, float) and math.isfinite(value)
