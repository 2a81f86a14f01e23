"""pandas dtypes of columns: decided once, by the rows that a model is trained on, and given back to any rows after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.columns.values import decoded, encoded
from fstk.engines.base import Schema
from fstk.engines.types import arrow_schema, arrow_type, schema_of
from fstk.errors import InvalidInput, UnknownColumn, nearest

if TYPE_CHECKING:
    import pandas

_EXACT_DOUBLE = 2**53
CATEGORY = "category"
_PLAIN = (str, int, float, bool, dt.date)


@dataclass(frozen=True)
class Dtype:
    """How a column looks in pandas: the ``name`` of its dtype; the ``categories`` of a ``category``; the time ``zone``
    whose readings stand for instants that have none in pandas; with ``spark`` nested values as Spark gives them, maps
    as dicts and times without a zone, else as Arrow does."""

    name: str
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    zone: str | None = None
    spark: bool = False

    @property
    def holds_nulls(self) -> bool:
        """Whether the dtype has a missing value; integers and booleans of NumPy have none."""
        import pandas

        found = pandas.api.types.pandas_dtype(self.name)
        return not isinstance(found, np.dtype) or found.kind not in "iub"

    def to_json(self) -> dict[str, Any]:
        """Return the dtype as JSON values, without loss; :meth:`from_json` turns them back."""
        categories = None if self.categories is None else [encoded(value) for value in self.categories]
        return {**vars(self), "categories": categories}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Dtype:
        """Return the dtype that :meth:`to_json` described."""
        categories = data["categories"]
        return cls(**{**data, "categories": None if categories is None else tuple(map(decoded, categories))})


def facts_schema(schema: Schema) -> Schema:
    """Return the columns of :func:`facts`."""
    return {f"{what} {name}": "boolean" for name in schema for what in ("null", "large")}


def facts(rows: pa.Table) -> pa.Table:
    """Return one row: for each column whether a null is among ``rows``, and whether an integer that a double would
    round; of several parts of a table the true ones count."""
    found = {}
    for name in rows.column_names:
        column = rows.column(name)
        found |= {
            f"null {name}": [column.null_count > 0],
            f"large {name}": [column.type == pa.int64() and _large(column)],
        }
    return pa.table(found, schema=arrow_schema(facts_schema(schema_of(rows.schema))))


def trained(schema: Schema, found: pa.Table) -> dict[str, Dtype]:
    """Return the dtypes that ``to_pandas()`` gives to rows of ``schema`` of which the :func:`facts` are ``found``:
    integers with nulls are floats, or ``Int64`` where a float would lose digits; instants are in UTC."""

    def holds(what: str, name: str) -> bool:
        return bool(pc.any(found.column(f"{what} {name}")).as_py())

    return {
        name: Dtype(_name(arrow_type(kind), holds("null", name), holds("large", name))) for name, kind in schema.items()
    }


def without_nulls(schema: Schema) -> dict[str, Dtype]:
    """Return the dtypes that ``to_pandas()`` gives to rows of ``schema`` without a null."""
    return {name: Dtype(_name(arrow_type(kind), nulls=False, large=False)) for name, kind in schema.items()}


def as_spark(dtypes: Mapping[str, Dtype], schema: Schema, zone: str) -> dict[str, Dtype]:
    """Return the dtypes of the same rows as Spark's own ``toPandas()`` gives them in a session of time zone ``zone``:
    times as nanoseconds without a zone, maps as dicts; all else is alike, but for ``Int64``, which are floats there."""
    return {name: _as_spark(dtype, arrow_type(schema[name]), zone) for name, dtype in dtypes.items()}


def _as_spark(dtype: Dtype, kind: pa.DataType, zone: str) -> Dtype:
    if isinstance(kind, pa.TimestampType):
        return Dtype("datetime64[ns]", zone=zone if kind.tz else None)
    if _looks_other(kind):
        return replace(dtype, zone=zone, spark=True)
    return replace(dtype, name="float64") if dtype.name == "Int64" else dtype


def _looks_other(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.TimestampType | pa.MapType):
        return True
    return pa.types.is_nested(kind) and any(_looks_other(kind.field(i).type) for i in range(kind.num_fields))


def of_example(example: Any, dtypes: Mapping[str, Dtype], schema: Schema, zone: str) -> dict[str, Dtype]:
    """Return the dtypes of a pandas frame that a model was fitted on, in place of ``dtypes`` where they differ.

    UnknownColumn: it lacks a column of ``schema``. InvalidInput: it is no pandas frame, or a dtype cannot be made again
    from the column."""
    import pandas

    if not isinstance(example, pandas.DataFrame):
        raise InvalidInput(
            f"input_example must be the pandas frame that the model was fitted on; got {type(example).__name__}."
        )
    found = {}
    for name, kind in schema.items():
        if name not in example.columns:
            raise UnknownColumn(f"input_example lacks {name}, which the model takes.{nearest(name, example.columns)}")
        found[name] = _of_series(pandas.Series(example[name]), dtypes[name], arrow_type(kind), zone)
    return found


def _of_series(series: pandas.Series, dtype: Dtype, kind: pa.DataType, zone: str) -> Dtype:
    import pandas

    given = series.dtype
    if isinstance(given, pandas.CategoricalDtype):
        categories = tuple(given.categories.tolist())
        if not all(isinstance(value, _PLAIN) for value in categories):
            raise InvalidInput(
                f"input_example, column {series.name}: categories of type {type(categories[0]).__name__} cannot be "
                "made again when scoring; let the model itself make them of the column."
            )
        return Dtype(CATEGORY, categories, bool(given.ordered))
    name = str(given)
    if pa.types.is_nested(kind):
        values = series.dropna()
        dicts = isinstance(kind, pa.MapType) and len(values) > 0 and isinstance(values.iloc[0], dict)
        return replace(dtype, zone=zone, spark=True) if dicts else dtype
    if name == "object" and dtype.name not in ("object", "Int64", "float64"):
        return Dtype(name)
    naive = given.kind == "M" and not isinstance(given, pandas.DatetimeTZDtype)
    return Dtype(name, zone=zone if naive and isinstance(kind, pa.TimestampType) and kind.tz else None)


def frame(rows: pa.Table, dtypes: Mapping[str, Dtype]) -> pandas.DataFrame:
    """Return rows as a pandas frame of ``dtypes``; a column with nulls whose dtype has none is of floats. ValueError: a
    value that its dtype does not hold."""
    import pandas

    columns = {}
    for name in rows.column_names:
        try:
            _check_range(rows.column(name), dtypes[name])
            columns[name] = _series(rows.column(name), dtypes[name])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name} as {dtypes[name].name}: {error}") from error
    return pandas.DataFrame(columns, index=pandas.RangeIndex(rows.num_rows))


def frames(rows: pa.Table, dtypes: Mapping[str, Dtype]) -> Iterator[tuple[np.ndarray, pandas.DataFrame]]:
    """Yield the rows in parts, each with the places of its rows: rows that lack the same values stand together, so that
    what one row lacks changes no dtype for another."""
    import pandas

    lacking = [name for name in rows.column_names if rows.column(name).null_count and not dtypes[name].holds_nulls]
    if not lacking:
        yield np.arange(rows.num_rows), frame(rows, dtypes)
        return
    part = np.zeros(rows.num_rows, np.int64)
    for name in lacking:
        part, _ = pandas.factorize(2 * part + rows.column(name).is_null().to_numpy())
    order = np.argsort(part, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        yield places, frame(rows.take(places), dtypes)


def _name(kind: pa.DataType, nulls: bool, large: bool) -> str:
    if pa.types.is_integer(kind) and nulls:
        return "Int64" if large else "float64"
    if pa.types.is_boolean(kind):
        return "object" if nulls else "bool"
    if isinstance(kind, pa.TimestampType):
        return f"datetime64[us{', UTC' if kind.tz else ''}]"
    return str(np.dtype(kind.to_pandas_dtype())) if pa.types.is_primitive(kind) and not _as_object(kind) else "object"


def _as_object(kind: pa.DataType) -> bool:
    return pa.types.is_date(kind) or pa.types.is_decimal(kind)


def _check_range(column: pa.ChunkedArray, dtype: Dtype) -> None:
    """Raise ValueError for numbers outside an integer dtype, into which pandas would wrap them."""
    import pandas

    found: Any = pandas.api.types.pandas_dtype(dtype.name)
    held = getattr(found, "numpy_dtype", found)
    if not isinstance(held, np.dtype) or held.kind not in "iu" or held == column.type.to_pandas_dtype():
        return
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        bounds, limits = pc.min_max(column), np.iinfo(held)
        for value in (bounds["min"].as_py(), bounds["max"].as_py()):
            if value is not None and not limits.min <= value <= limits.max:
                raise ValueError(f"{value} is outside {limits.min} … {limits.max}")


def _series(column: pa.ChunkedArray, dtype: Dtype) -> pandas.Series:
    import pandas

    kind = column.type
    if dtype.name == CATEGORY:
        assert dtype.categories is not None
        values = pandas.Categorical(column.to_pylist(), list(dtype.categories), dtype.ordered)
        return pandas.Series(values)
    if pa.types.is_nested(kind):
        return pandas.Series(_nested(column, dtype), dtype="object")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        if dtype.name == "object":
            return pandas.Series(column.to_pylist(), dtype="object")
        if column.null_count and not dtype.holds_nulls:
            return column.cast(pa.int8() if pa.types.is_boolean(kind) else kind).cast(pa.float64(), False).to_pandas()
        nullable = pandas.BooleanDtype() if pa.types.is_boolean(kind) else pandas.Int64Dtype()
        series = column.to_pandas(types_mapper={kind: nullable}.get) if column.null_count else column.to_pandas()
    else:
        series = column.to_pandas()
        if dtype.zone is not None:
            series = series.dt.tz_convert(dtype.zone).dt.tz_localize(None)
        if series.isna().any() and not dtype.holds_nulls:
            return series.astype("float64")
    return series if str(series.dtype) == dtype.name else series.astype(dtype.name)  # type: ignore[call-overload]


def _nested(column: pa.ChunkedArray, dtype: Dtype) -> list[Any]:
    """Return nested values, each converted by itself where nulls in one would make floats of another's integers."""
    apart = any(_lacks_numbers(chunk) for chunk in column.chunks)
    parts = (column.take([place]) for place in range(len(column))) if apart else [column]
    values = [value for part in parts for value in part.to_pandas()]
    if not dtype.spark:
        return values
    assert dtype.zone is not None
    return [_spark_value(value, column.type, dtype.zone) for value in values]


def _lacks_numbers(array: pa.Array) -> bool:
    if not pa.types.is_nested(array.type):
        return array.null_count > 0 and (pa.types.is_integer(array.type) or pa.types.is_boolean(array.type))
    parts = [array.keys, array.items] if isinstance(array, pa.MapArray) else array.flatten()
    return any(_lacks_numbers(part) for part in (parts if isinstance(parts, list) else [parts]))


def _spark_value(value: Any, kind: pa.DataType, zone: str) -> Any:
    import pandas

    if value is None:
        return None
    if isinstance(kind, pa.MapType):
        return {_spark_value(k, kind.key_type, zone): _spark_value(v, kind.item_type, zone) for k, v in value}
    if isinstance(kind, pa.ListType):
        inside = kind.value_type
        return np.array([_spark_value(item, inside, zone) for item in value]) if _looks_other(inside) else value
    if isinstance(kind, pa.StructType):
        return {field.name: _spark_value(value[field.name], field.type, zone) for field in kind}
    if isinstance(kind, pa.TimestampType):
        instant = pandas.Timestamp(value).as_unit("ns")
        if kind.tz is None:
            return instant
        utc = instant if instant.tzinfo else instant.tz_localize("UTC")
        return utc.tz_convert(zone).tz_localize(None)
    return value


def _large(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is not None and (low < -_EXACT_DOUBLE or high > _EXACT_DOUBLE)
