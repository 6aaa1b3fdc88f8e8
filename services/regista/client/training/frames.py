"""Writing data frames of pandas, polars and Arrow in the canonical form."""

from __future__ import annotations

import sys
from typing import Any

from regista.client.training import canonical
from regista.client.training.arrays import PLAIN_KINDS, put_buffer
from regista.domain.errors import Invalid


def put_pandas(into: canonical.Hash, frame: Any, where: str) -> None:  # noqa: ANN401 - DataFrame, Series or Index
    """Columns in order; first those of the index, unless it only numbers the rows."""
    pandas = sys.modules["pandas"]
    if isinstance(frame, pandas.Index):
        frame = frame.to_frame(index=False)
    elif isinstance(frame, pandas.Series):
        frame = frame.to_frame()
    index = frame.index
    plain = isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1
    parts = [] if plain else [(f"index {n}", index.get_level_values(n).to_series()) for n in range(index.nlevels)]
    parts += [(str(name), frame.iloc[:, number]) for number, name in enumerate(frame.columns)]
    canonical.put_text(into, "table")
    canonical.put_count(into, len(parts))
    for name, series in parts:
        canonical.put_text(into, name)
        _put_pandas_column(into, series, f"{where}[{name!r}]")


def _put_pandas_column(into: canonical.Hash, series: Any, where: str) -> None:  # noqa: ANN401 - Series
    numpy, pandas = sys.modules["numpy"], sys.modules["pandas"]
    dtype = series.dtype
    canonical.put_text(into, str((len(series),)))
    if isinstance(dtype, numpy.dtype) and dtype.kind in PLAIN_KINDS + "c":
        put_buffer(into, series.to_numpy(), where)
    elif isinstance(dtype, pandas.DatetimeTZDtype) or getattr(dtype, "kind", "O") in "mM":
        put_buffer(into, _in_nanoseconds(series), where)
        canonical.put_text(into, str(getattr(dtype, "tz", None)))
    elif getattr(dtype, "kind", "O") in PLAIN_KINDS and hasattr(series.array, "_mask"):
        missing = series.isna().to_numpy()
        put_buffer(into, series.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0)), where)
        if missing.any():
            put_buffer(into, missing, where)
    else:
        canonical.put_text(into, "values")
        canonical.put_values(into, series.astype(object).tolist(), where)


def _in_nanoseconds(series: Any) -> Any:  # noqa: ANN401 - Series to ndarray
    """Times in one unit, which pandas chooses differently from release to release; in their own where they overflow."""
    pandas = sys.modules["pandas"]
    if isinstance(series.dtype, pandas.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    try:
        return series.dt.as_unit("ns").to_numpy()
    except pandas.errors.OutOfBoundsDatetime:
        return series.to_numpy()


def put_polars(into: canonical.Hash, frame: Any, where: str) -> None:  # noqa: ANN401 - polars
    """Columns in order.

    Raises:
        Invalid: a lazy frame, which holds no data yet.
    """
    polars = sys.modules["polars"]
    if isinstance(frame, polars.LazyFrame):
        raise Invalid(
            f"{where} is a lazy frame, which holds no data yet", code="data_unknown", hint="Collect it first."
        )
    columns = [frame] if isinstance(frame, polars.Series) else frame.get_columns()
    canonical.put_text(into, "table")
    canonical.put_count(into, len(columns))
    for column in columns:
        canonical.put_text(into, column.name)
        canonical.put_text(into, str((len(column),)))
        if column.dtype.is_numeric() and not column.dtype.is_decimal():
            missing = column.is_null()
            put_buffer(into, column.fill_null(0).to_numpy(), where)
            if missing.any():
                put_buffer(into, missing.to_numpy(), where)
        else:
            if column.dtype.is_temporal():
                canonical.put_text(into, str(column.dtype))
                column = column.to_physical()  # noqa: PLW2901 - the same column in integers
            canonical.put_text(into, "values")
            canonical.put_values(into, column.to_list(), f"{where}[{column.name!r}]")


def put_arrow(into: canonical.Hash, table: Any, where: str) -> None:  # noqa: ANN401 - Table, RecordBatch or array
    """Columns in order."""
    pyarrow = sys.modules["pyarrow"]
    named = isinstance(table, pyarrow.Table | pyarrow.RecordBatch)
    columns = list(zip(table.schema.names, table.columns, strict=True)) if named else [("", table)]
    canonical.put_text(into, "table")
    canonical.put_count(into, len(columns))
    for name, column in columns:
        canonical.put_text(into, name)
        canonical.put_text(into, str((len(column),)))
        fixed = pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)
        if fixed and not column.null_count and "numpy" in sys.modules:
            plain = (
                column.to_numpy() if isinstance(column, pyarrow.ChunkedArray) else column.to_numpy(zero_copy_only=False)
            )
            put_buffer(into, plain, where)
        else:
            canonical.put_text(into, str(column.type))
            canonical.put_values(into, _arrow_plain(column).to_pylist(), f"{where}[{name!r}]")


def _arrow_plain(column: Any) -> Any:  # noqa: ANN401 - an array of Arrow
    """Times as the integers that they are: their Python form would lose nanoseconds."""
    pyarrow = sys.modules["pyarrow"]
    if not pyarrow.types.is_temporal(column.type):
        return column
    return column.cast(pyarrow.int32() if column.type.bit_width == 32 else pyarrow.int64())
