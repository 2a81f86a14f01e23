"""What models answer, in whatever shape, as one Arrow column of the type that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.frames import normal_column
from fstk.engines.types import spark_type
from fstk.errors import FstkError, TypeMismatch

_CONVERSION = (pa.ArrowException, TypeError, ValueError, KeyError, OverflowError)


def as_arrow(predicted: Any, rows: int, name: str) -> pa.Array:
    """Return the predictions of the model ``name`` for ``rows`` rows, in the types of fstk: arrays of two dimensions,
    and lists, are lists; frames of several columns are structs; frames and arrays of one column are that column.

    TypeMismatch: they are not of one type, or of none that Spark has. FstkError: not one for each row."""
    try:
        found = _array(predicted)
    except _CONVERSION as error:
        shape = type(predicted).__name__
        raise TypeMismatch(f"{name} answers with a {shape} that no column holds: {line(error)}.") from error
    if len(found) != rows:
        raise FstkError(f"{name} gave {len(found):,} predictions for {rows:,} rows.")
    made = normal_column(pa.chunked_array([found]), f"predictions of {name}").combine_chunks()
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def cast(found: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    """Return predictions as ``wanted``, no value changed; where integers are wanted NaN is null. TypeMismatch: a value
    that it does not hold."""
    try:
        return _cast(found, wanted)
    except _CONVERSION as error:
        raise TypeMismatch(
            f"{name} predicts {spark_type(found.type)}, which {spark_type(wanted)} does not hold: {line(error)}."
        ) from error


def fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Tell by types alone whether :func:`cast` can do it, which may still fail at a value."""
    if pa.types.is_null(found) or found == wanted:
        return True
    if isinstance(found, pa.StructType):
        if isinstance(wanted, pa.StructType):
            fields = {field.name: field.type for field in found}
            same = set(fields) == {field.name for field in wanted}
            return same and all(fits(fields[field.name], field.type) for field in wanted)
        return isinstance(wanted, pa.ListType) and all(fits(field.type, wanted.value_type) for field in found)
    if isinstance(found, pa.ListType):
        return isinstance(wanted, pa.ListType) and fits(found.value_type, wanted.value_type)
    if pa.types.is_nested(wanted) or pa.types.is_nested(found):
        return False
    if _is_number(found):
        return _is_number(wanted) or pa.types.is_string(wanted)
    return pa.types.is_temporal(found) and (pa.types.is_temporal(wanted) or pa.types.is_string(wanted))


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or _is_decimal(kind)


def _is_decimal(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind)


def _array(values: Any) -> pa.Array:
    import pandas

    if hasattr(values, "to_arrow"):  # of Polars
        values = values.to_arrow()
    if isinstance(values, pandas.DataFrame | pa.Table):
        names = list(map(str, values.columns if isinstance(values, pandas.DataFrame) else values.column_names))
        if len(set(names)) < len(names):
            raise TypeError(f"two of its columns are called {max(names, key=names.count)}")
        columns = values.columns if isinstance(values, pa.Table) else (values.iloc[:, i] for i in range(len(names)))
        values = dict(zip(names, columns, strict=True))
    if isinstance(values, Mapping):
        parts = {str(name): _array(part) for name, part in values.items()}
        return (
            next(iter(parts.values())) if len(parts) == 1 else pa.StructArray.from_arrays(parts.values(), list(parts))
        )
    if isinstance(values, pandas.Series | pandas.Index):
        values = values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array
    if hasattr(values, "toarray"):  # a sparse matrix
        values = values.toarray()
    if isinstance(values, np.ndarray):
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim > 1 or values.dtype == object:
            values = values.tolist()
    if isinstance(values, list | tuple):
        values = [None if value is pandas.NA else value for value in values]
    elif isinstance(values, str | bytes | set | frozenset) or not hasattr(values, "__len__"):
        raise TypeError("it is not one value for each row")
    made: Any = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _cast(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    if isinstance(found, pa.StructArray) and isinstance(wanted, pa.StructType):
        parts = [_cast(found.field(field.name), field.type) for field in wanted]
        return pa.StructArray.from_arrays(parts, fields=list(wanted), mask=found.is_null())
    if isinstance(found, pa.StructArray) and isinstance(wanted, pa.ListType):
        return pa.array([None if row is None else list(row.values()) for row in found.to_pylist()]).cast(wanted)
    if pa.types.is_floating(found.type) and pa.types.is_integer(wanted):
        found = pc.if_else(pc.is_nan(found), pa.scalar(None, found.type), found)
    return found.cast(wanted)


def line(error: Exception) -> str:
    """Return what an error of a model says, in one line that a sentence can go on from."""
    return " ".join(str(error).split())[:200].rstrip(".")
