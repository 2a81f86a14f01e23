"""Whatever frame the caller has, as one normalised Arrow table."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import narwhals
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.engines.types import arrow_type, spark_type
from fstk.errors import InvalidInput, NaiveDatetime, TypeMismatch, UnsupportedType

# 0001-01-01 and the last microsecond of 9999, in microseconds since 1970: all that Spark, Python and Delta hold alike.
_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999


def is_spark(data: Any) -> bool:
    """Tell whether ``data`` is a PySpark DataFrame, classic or Connect, without importing PySpark."""
    return any(cls.__name__ == "DataFrame" and cls.__module__.startswith("pyspark.sql") for cls in type(data).__mro__)


def is_frame(data: Any) -> bool:
    """Tell whether ``data`` is a frame that can be read again: Spark, pandas, Polars, Arrow, DuckDB, Ibis, Modin and
    whatever else narwhals knows or offers the Arrow stream. Imports none of them."""
    known = _known(data)
    if isinstance(known, narwhals.Series | pa.RecordBatchReader):
        return False
    return known is not data or _is_pandas(data) or hasattr(type(data), "__arrow_c_stream__")


def column_names(data: Any) -> list[str]:
    """Return the columns of a frame, computing nothing; none where only its rows would tell."""
    known = _known(data)
    if isinstance(known, narwhals.DataFrame | narwhals.LazyFrame):
        return known.collect_schema().names()
    if _is_pandas(data):
        return [str(name) for name in data.columns]
    return pa.schema(data).names if hasattr(data, "__arrow_c_schema__") else []


def without_rows(data: Any) -> Any:
    """Return a frame of the same kind and columns that holds no row."""
    known = _known(data)
    if isinstance(known, narwhals.DataFrame | narwhals.LazyFrame):
        return known.head(0).to_native()
    return data.head(0) if _is_pandas(data) else data


def to_arrow(data: Any, argument: str) -> pa.Table:
    """Return a pandas, Polars or Arrow frame as an Arrow table of the types in :mod:`fstk.engines.types`.

    Strings become ``string``, dictionaries are decoded, unsigned integers widened, times become microseconds. Columns
    typed as times without a zone are ``timestamp[us]`` (TIMESTAMP_NTZ, taken as UTC). In pandas columns of NumPy floats
    NaN means missing, as everywhere in pandas, and becomes null. A pandas index is dropped. InvalidInput: not a frame,
    two columns of one name, a time with nanoseconds or outside 0001..9999. UnsupportedType: a column that Spark cannot
    hold. NaiveDatetime: a pandas object column of datetimes without a zone.
    """
    table = _table(data, argument)
    names = table.column_names
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InvalidInput(f"{argument}: two columns are called {doubled[0]}; rename one.")
    columns = [normal_column(table.column(i), f"{argument}, column {name}") for i, name in enumerate(names)]
    return pa.table(columns, schema=pa.schema([pa.field(n, c.type) for n, c in zip(names, columns, strict=True)]))


def normal_column(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Return a column in fstk's Arrow types; ``where`` names it in errors, which are those of :func:`to_arrow`."""
    try:
        target = arrow_type(spark_type(column.type))
    except UnsupportedType as error:
        raise UnsupportedType(f"{where}: {error}") from error
    column = _exact(column, target, where)
    if isinstance(target, pa.TimestampType) and len(column) > column.null_count:
        bounds = pc.min_max(column.cast(pa.int64()))
        if bounds["min"].as_py() < _FIRST or bounds["max"].as_py() > _LAST:
            raise InvalidInput(f"{where}: times must lie in the years 0001 to 9999.")
    return column


def _exact(column: pa.ChunkedArray, target: pa.DataType, where: str) -> pa.ChunkedArray:
    kind = column.type
    if kind == target:
        return column
    if isinstance(kind, pa.DictionaryType | pa.RunEndEncodedType):
        decode = pa.DictionaryArray.dictionary_decode if isinstance(kind, pa.DictionaryType) else pc.run_end_decode
        column = pa.chunked_array([decode(chunk) for chunk in column.chunks], type=kind.value_type)
    try:
        return column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if isinstance(target, pa.TimestampType):
            raise InvalidInput(
                f"{where}: its times do not fit whole microseconds of the years 0001 to 9999; round them first."
            ) from error
        raise UnsupportedType(f"{where}: {column.type} cannot become {target}: {error}") from error


def _known(data: Any) -> Any:
    """Return a frame or column as narwhals has it, or ``data`` itself: narwhals knows every kind by the packages that
    were imported already, so nothing heavy is loaded to find out. Frames of pandas keep their own rules."""
    if _is_pandas(data):
        return data
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    return narwhals.from_native(data, pass_through=True, allow_series=True)


def _is_pandas(data: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _table(data: Any, argument: str) -> pa.Table:
    if _is_pandas(data):
        return _from_pandas(data, argument)
    known = _known(data)
    if isinstance(known, narwhals.DataFrame) and known.implementation.is_pandas_like():
        return _from_pandas(known.to_pandas(), argument)
    if isinstance(known, narwhals.DataFrame | narwhals.LazyFrame):
        _refuse_objects(known.collect_schema(), argument)
        return known.to_arrow() if isinstance(known, narwhals.DataFrame) else known.collect("pyarrow").to_arrow()
    if known is data and hasattr(type(data), "__arrow_c_stream__"):
        stream = None
        with suppress(pa.ArrowInvalid):  # a stream of one column is no frame
            stream = pa.RecordBatchReader.from_stream(data)
        if stream is not None:
            return stream.read_all()
    raise InvalidInput(
        f"{argument} must be a Spark, pandas, Polars or Arrow frame; got {type(data).__module__}.{type(data).__name__}."
    )


def _refuse_objects(schema: narwhals.Schema, argument: str) -> None:
    # Polars hands over the addresses of such objects as bytes.
    for name, kind in schema.items():
        if kind == narwhals.Object:
            raise UnsupportedType(
                f"{argument}, column {name}: it holds Python objects (Polars' Object), which no column of a table "
                "does; make it text or numbers first."
            )


def _from_pandas(data: Any, argument: str) -> pa.Table:
    unnamed = [name for name in data.columns if not isinstance(name, str)]
    if unnamed:
        raise InvalidInput(f"{argument}: column names must be strings; got {unnamed[0]!r}.")
    columns: list[pa.Array] = []
    for position, name in enumerate(data.columns):
        series = data.iloc[:, position]
        values = series.cat.categories if series.dtype == "category" else series
        if values.dtype == object:
            _check_times(values, argument, name)
        if hasattr(series, "sparse"):
            series = series.sparse.to_dense()
        try:
            columns.append(pa.Array.from_pandas(series))
        except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError) as error:
            raise InvalidInput(
                f"{argument}, column {name}: its values are not of one type that a column holds ({error})."
            ) from error
    return pa.table(columns, names=list(data.columns))


def _check_times(values: Iterable[Any], argument: str, name: str) -> None:
    """Refuse, anywhere in a column of Python objects, a time without a zone, one with nanoseconds, and any among dates:
    Arrow would cut them."""
    first: dict[tuple[str, ...], Any] = {}
    for value in values:
        for place, part in _parts(value):
            if isinstance(part, dt.date) and part == part:
                other = first.setdefault(place, part)
                if isinstance(part, dt.datetime) != isinstance(other, dt.datetime):
                    raise InvalidInput(
                        f"{argument}, column {name}: {other!r} and {part!r} are a date and a time; make them one type."
                    )
            if _naive(part):
                raise NaiveDatetime(
                    f"{argument}, column {name}: {value!r} has no time zone. Give it one, for example "
                    f"pd.to_datetime({argument}[{name!r}], utc=True)."
                )
            if getattr(part, "nanosecond", 0) > 0:  # of NaT it is NaN
                raise InvalidInput(
                    f"{argument}, column {name}: {part!r} does not fit whole microseconds; round its times first."
                )


def _naive(value: Any) -> bool:
    # NaT is a datetime too, the only one that is unequal to itself.
    return isinstance(value, dt.datetime) and value.tzinfo is None and value == value


def _parts(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what a value is made of, each part with the names of the fields that it is in."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.ravel().tolist()
    if isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _parts(item, place)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _parts(item, (*place, str(key)))
    else:
        yield place, value


def canonical(table: pa.Table) -> pa.Table:
    """Return a table that an engine computed in fstk's Arrow types: instants in UTC, strings as ``string``."""
    types = [arrow_type(spark_type(field.type)) for field in table.schema]
    if all(field.type == target for field, target in zip(table.schema, types, strict=True)):
        return table.replace_schema_metadata(None)
    columns = [_exact(c, target, n) for n, c, target in zip(table.column_names, table.columns, types, strict=True)]
    return pa.table(columns, names=table.column_names)


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a kernel's result with exactly the declared columns, in their order and types, or raise TypeMismatch: one
    is missing, another is there, or a value does not fit its declared type; no value is lost silently."""
    if set(table.column_names) != set(schema.names) or table.num_columns != len(schema):
        raise TypeMismatch(f"the kernel returned columns {table.column_names}; declared are {schema.names}.")
    table = table.select(schema.names)
    columns = []
    for field, column in zip(schema, table.columns, strict=True):
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TypeMismatch(f"column {field.name}: {column.type} does not fit {field.type}: {error}.") from error
    return pa.table(columns, schema=schema)
