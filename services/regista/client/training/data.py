"""Digests of training data: files, folders, data frames, arrays.

The same values have the same digest on every machine and in every run; order of rows and columns, names, types and a
data frame's index are part of it. pandas, polars, Arrow and numpy are told by their own types, without importing them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regista.artifacts.digests import digest_file
from regista.artifacts.manifest import Manifest
from regista.client.training import canonical
from regista.client.training.arrays import put_array, put_sparse
from regista.client.training.frames import put_arrow, put_pandas, put_polars
from regista.domain.errors import Invalid, NotFound


def digest(data: Any, where: str = "data") -> str:  # noqa: ANN401 - anything that holds data
    """``sha256:…`` of a path (a file's own SHA-256, a folder's manifest) or of values in memory.

    Raises:
        NotFound: there is nothing at the path.
        Invalid: ``data_unknown``, for what has no digest.
    """
    if isinstance(data, str | os.PathLike):
        return _of_path(Path(data))
    into = canonical.new()
    _put(into, data, where)
    return f"sha256:{into.hexdigest()}"


def _of_path(path: Path) -> str:
    if path.is_dir():
        return Manifest.scan(path).digest
    if path.is_file():
        return digest_file(path)
    raise NotFound(
        f"there is no data at {os.fspath(path)!r}",
        code="path_not_found",
        hint="Data elsewhere are named by uri=… with version=… or digest=….",
    )


def _put(into: canonical.Hash, data: Any, where: str) -> None:  # noqa: ANN401 - anything that holds data
    for library, kinds, put in _LIBRARIES:
        module = sys.modules.get(library)
        if module is not None and any(isinstance(data, getattr(module, kind, ())) for kind in kinds):
            put(into, data, where)
            return
    if isinstance(data, Mapping):
        _put_parts(into, "mapping", [(str(name), part) for name, part in data.items()], where)
    elif isinstance(data, tuple):
        _put_parts(into, "tuple", [(str(index), part) for index, part in enumerate(data)], where)
    elif isinstance(data, list | bytes | bytearray | memoryview):
        canonical.put_text(into, "values")
        into.update(canonical.encode(data, where))
    else:
        _put_alike(into, data, where)


def _put_parts(into: canonical.Hash, kind: str, parts: list[tuple[str, Any]], where: str) -> None:
    canonical.put_text(into, kind)
    canonical.put_count(into, len(parts))
    for name, part in parts:
        canonical.put_text(into, name)
        _put(into, part, f"{where}[{name}]")


def _put_alike(into: canonical.Hash, data: Any, where: str) -> None:  # noqa: ANN401 - anything that holds data
    """What can be made an array: sparse matrices, tensors, whatever offers ``__array__``."""
    if callable(to_csr := getattr(data, "tocsr", None)):
        put_sparse(into, to_csr(), where)
    elif callable(detach := getattr(data, "detach", None)):
        _put(into, detach().cpu().numpy(), where)
    elif hasattr(data, "__array__") and "numpy" in sys.modules:
        put_array(into, data, where)
    else:
        raise _unknown(data, where)


def _unknown(data: Any, where: str) -> Invalid:  # noqa: ANN401 - anything
    return Invalid(
        f"{where}: {type(data).__module__}.{type(data).__qualname__} has no digest",
        code="data_unknown",
        hint="Give a path, a data frame, arrays or lists; or digest=… or version=… that names the data.",
    )


_LIBRARIES = (
    ("pandas", ("DataFrame", "Series", "Index"), put_pandas),
    ("polars", ("DataFrame", "LazyFrame", "Series"), put_polars),
    ("pyarrow", ("Table", "RecordBatch", "ChunkedArray", "Array"), put_arrow),
    ("numpy", ("ndarray",), put_array),
)
