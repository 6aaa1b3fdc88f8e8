"""Writing arrays of numpy, and what is made of them, in the canonical form."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from regista.client.training import canonical

PLAIN_KINDS = "biuf"
"""numpy's kinds of truth values, integers and floats."""


def put_array(into: canonical.Hash, array: Any, where: str) -> None:  # noqa: ANN401 - numpy.ndarray
    """Shape, type and values; the fields of a structured array are columns."""
    numpy = sys.modules["numpy"]
    array = numpy.asarray(array)
    if array.dtype.names:
        _put_columns(into, {name: array[name] for name in array.dtype.names}, where)
        return
    canonical.put_text(into, "array")
    canonical.put_text(into, str(tuple(int(size) for size in array.shape)))
    put_buffer(into, array, where)


def put_buffer(into: canonical.Hash, array: Any, where: str) -> None:  # noqa: ANN401 - numpy.ndarray
    """Type and values of an array: fixed-width ones as they lie in memory, little endian, others one by one."""
    numpy = sys.modules["numpy"]
    kind = array.dtype.kind
    if kind in "mM":
        canonical.put_text(into, array.dtype.str.lstrip("<>=|"))
        array = array.view("i8") if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")).view("i8")
    elif kind in PLAIN_KINDS or kind == "c":
        canonical.put_text(into, array.dtype.name)
    else:
        canonical.put_text(into, "values")
        canonical.put_values(into, array.ravel().tolist(), where)
        return
    array = numpy.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if kind in "fc" and (missing := numpy.isnan(array)).any():
        array = numpy.where(missing, numpy.array(numpy.nan, array.dtype), array)
    into.update(memoryview(array).cast("B") if array.size else b"")


def put_sparse(into: canonical.Hash, matrix: Any, where: str) -> None:  # noqa: ANN401 - a CSR matrix of scipy
    """A sparse matrix, its entries in order."""
    matrix = matrix.copy()
    matrix.sum_duplicates()
    canonical.put_text(into, "sparse")
    for part in (matrix.indptr.astype("int64"), matrix.indices.astype("int64"), matrix.data):
        put_array(into, part, where)
    canonical.put_text(into, str(tuple(int(size) for size in matrix.shape)))


def _put_columns(into: canonical.Hash, columns: Mapping[str, Any], where: str) -> None:
    canonical.put_text(into, "table")
    canonical.put_count(into, len(columns))
    for name, column in columns.items():
        canonical.put_text(into, name)
        put_array(into, column, f"{where}[{name!r}]")
