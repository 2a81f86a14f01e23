"""One normalised Arrow table from every kind of frame, nothing lost, nothing guessed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fstk.engines.base import Engine
from fstk.engines.frames import canonical, column_names, conform, is_frame, to_arrow, without_rows
from fstk.errors import InvalidInput, NaiveDatetime, TypeMismatch, UnsupportedType

UTC = dt.UTC
NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)


def _kinds() -> dict[str, Any]:
    rows = {"k": ["a", None], "n": [1, 2], "at": [NOON, None]}
    arrow = pa.table({"k": pa.array(rows["k"]), "n": rows["n"], "at": pa.array(rows["at"], pa.timestamp("us", "UTC"))})
    return {
        "pandas": pd.DataFrame({"k": rows["k"], "n": rows["n"], "at": pd.to_datetime(rows["at"], utc=True)}),
        "polars": pl.DataFrame(rows),
        "lazy": pl.LazyFrame(rows),
        "arrow": arrow,
        "batch": arrow.to_batches()[0],
        "reader": arrow.to_reader(),
        "duckdb": duckdb.from_arrow(arrow),
        "stream": Stream(arrow),
    }


class Stream:
    """A frame of a package that fstk has never heard of; its rows are all it offers."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._rows.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "arrow", "batch", "reader", "duckdb", "stream"])
def test_every_kind_of_frame_is_the_same_table(engine: Engine, kind: str) -> None:
    frame = engine.frame(_kinds()[kind], "df")
    assert engine.schema(frame) == {"k": "string", "n": "bigint", "at": "timestamp"}
    assert engine.arrow(frame).sort_by("n").to_pylist() == [
        {"k": "a", "n": 1, "at": NOON},
        {"k": None, "n": 2, "at": None},
    ]


COLUMN = pl.Series([1])


@pytest.mark.parametrize(
    "other", [[1], {"a": [1]}, "table", None, np.zeros(3), COLUMN, COLUMN.to_pandas(), Stream(COLUMN)]
)
def test_what_is_no_frame_is_refused_by_the_arguments_name(other: Any) -> None:
    with pytest.raises(InvalidInput, match="^labels must be a Spark, pandas, Polars or Arrow frame"):
        to_arrow(other, "labels")
    assert not is_frame(other) or isinstance(other, Stream)


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "arrow", "batch", "duckdb", "stream"])
def test_a_frame_is_known_and_tells_its_columns_without_its_rows(kind: str) -> None:
    frame = _kinds()[kind]
    assert is_frame(frame)
    assert column_names(frame) == ([] if kind == "stream" else ["k", "n", "at"])
    assert to_arrow(without_rows(frame), "df").num_rows == (2 if kind == "stream" else 0)
    assert to_arrow(frame, "df").num_rows == 2  # it can be read again


def test_odd_pandas_frames_are_frames_and_their_stream_may_fail() -> None:
    for odd in (pd.DataFrame([[1, 2]], columns=pd.Index(["a", "a"])), pd.DataFrame([[1, 2]])):
        assert is_frame(odd)
        assert column_names(odd) == [str(name) for name in odd.columns]
    assert not is_frame(_kinds()["reader"])  # its rows can be read once

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": [1]})
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        to_arrow(pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), broken()), "df")


@pytest.mark.parametrize("value", [dt.datetime(2024, 1, 1), [dt.datetime(2024, 1, 1)], {"a": dt.datetime(2024, 1, 1)}])
def test_naive_datetimes_in_object_columns_are_refused(value: Any) -> None:
    with pytest.raises(NaiveDatetime, match="labels, column at: .* has no time zone"):
        to_arrow(pd.DataFrame({"at": pd.Series([value], dtype=object)}), "labels")


def test_aware_datetimes_in_object_columns_and_typed_naive_columns_are_taken() -> None:
    kolkata = dt.timezone(dt.timedelta(hours=5, minutes=30))
    frame = pd.DataFrame(
        {
            "at": pd.Series([NOON.astimezone(kolkata), pd.NaT], dtype=object),
            "ntz": pd.to_datetime(["2024-02-29", None]),
        }
    )
    table = to_arrow(frame, "df")
    assert table.column("at").to_pylist() == [NOON, None]
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table.schema.field("ntz").type == pa.timestamp("us")


def test_nanoseconds_are_kept_exactly_or_refused() -> None:
    whole = pd.DataFrame({"at": pd.to_datetime(["2024-01-01T00:00:00.123456"], utc=True)})
    assert to_arrow(whole, "df").column("at").to_pylist() == [dt.datetime(2024, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)]
    with pytest.raises(InvalidInput, match="df, column at: .* whole microseconds"):
        to_arrow(pd.DataFrame({"at": pd.to_datetime([1], unit="ns")}), "df")


CUT = pd.Timestamp("2024-01-01T00:00:00.000000999Z")


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([None, CUT], dtype=object),
        pd.Series([[CUT - pd.Timedelta(999, "ns")], [CUT]]),
        pd.Series([{"a": {"b": [(CUT,)]}}]),
        pd.Series([{CUT}]),
        pd.Series([np.array([CUT], dtype=object), None]),
        pd.Series([np.array([CUT.value], dtype="M8[ns]")]),
        pd.Series([np.datetime64(CUT.value, "ns")], dtype=object),
        pd.Series(pd.Categorical([CUT], categories=pd.Index([CUT], dtype=object))),
        pd.Series(pd.Categorical([CUT])),
        pd.Series([CUT], dtype=pd.ArrowDtype(pa.timestamp("ns", "UTC"))),
    ],
)
def test_nanoseconds_in_objects_are_never_cut(values: pd.Series) -> None:
    with pytest.raises(InvalidInput, match="df, column at: "):
        to_arrow(pd.DataFrame({"at": values}), "df")


@pytest.mark.parametrize("wrapped", [lambda value: value, lambda value: [value], lambda value: {"a": value}])
@pytest.mark.parametrize("order", [1, -1])
def test_among_dates_no_time_of_day_is_cut(order: int, wrapped: Any) -> None:
    values = [wrapped(dt.date(2024, 1, 1)), wrapped(NOON)][::order]
    with pytest.raises(InvalidInput, match="df, column at: .* are a date and a time; make them one type"):
        to_arrow(pd.DataFrame({"at": pd.Series(values, dtype=object)}), "df")


def test_a_struct_has_dates_and_times() -> None:
    values = pd.Series([{"day": dt.date(2024, 1, 1), "at": NOON}, None])
    assert to_arrow(pd.DataFrame({"s": values}), "df").column("s").to_pylist() == [values[0], None]


def test_values_that_arrow_has_no_column_for_are_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="df, column at: its values are not of one type"):
        to_arrow(pd.DataFrame({"at": pd.Series([np.datetime64("2024-01-01")], dtype=object)}), "df")


@pytest.mark.parametrize("lazy", [False, True])
def test_python_objects_of_polars_are_refused(lazy: bool) -> None:
    frame = pl.DataFrame({"id": [1, 2], "extra": pl.Series(["foo", object()], dtype=pl.Object)})
    with pytest.raises(UnsupportedType, match="df, column extra: it holds Python objects"):
        to_arrow(frame.lazy() if lazy else frame, "df")


@pytest.mark.parametrize("micros", [-62_135_596_800_000_001, 253_402_300_800_000_000])
def test_times_outside_the_years_1_to_9999_are_refused(micros: int) -> None:
    with pytest.raises(InvalidInput, match="0001 to 9999"):
        to_arrow(pa.table({"at": pa.array([micros], pa.timestamp("us", "UTC"))}), "df")


def test_nan_of_pandas_is_missing_and_nan_of_polars_is_nan() -> None:
    assert to_arrow(pd.DataFrame({"x": [1.0, np.nan]}), "df").column("x").null_count == 1
    assert to_arrow(pl.DataFrame({"x": [1.0, float("nan")]}), "df").column("x").null_count == 0


def test_categories_and_nested_large_types_are_plain() -> None:
    frame = pl.DataFrame({"c": pl.Series(["x", "y", None], dtype=pl.Categorical), "l": [["a"], [], None]})
    table = to_arrow(frame, "df")
    assert table.schema.types == [pa.string(), pa.list_(pa.string())]
    assert table.to_pydict() == {"c": ["x", "y", None], "l": [["a"], [], None]}


def test_doubled_and_unnamed_columns_are_refused() -> None:
    with pytest.raises(InvalidInput, match="two columns are called a"):
        to_arrow(pd.DataFrame([[1, 2]], columns=pd.Index(["a", "a"])), "df")
    with pytest.raises(InvalidInput, match="names must be strings"):
        to_arrow(pd.DataFrame([[1, 2]]), "df")


def test_mixed_objects_and_unheld_types_are_refused_by_column() -> None:
    with pytest.raises(InvalidInput, match="df, column o"):
        to_arrow(pd.DataFrame({"o": [1, "a"]}), "df")
    with pytest.raises(UnsupportedType, match="df, column d"):
        to_arrow(pl.DataFrame({"d": [dt.timedelta(1)]}), "df")


def test_a_kernels_result_loses_no_value_silently() -> None:
    schema = pa.schema([("a", pa.int32()), ("b", pa.string())])
    assert conform(pa.table({"b": ["x"], "a": [1]}), schema).to_pylist() == [{"a": 1, "b": "x"}]
    with pytest.raises(TypeMismatch, match="column a"):
        conform(pa.table({"b": ["x"], "a": [2**40]}), schema)
    with pytest.raises(TypeMismatch, match="column a"):
        conform(pa.table({"b": ["x"], "a": [1.5]}), schema)
    with pytest.raises(TypeMismatch, match="declared"):
        conform(pa.table({"a": [1]}), schema)


def test_instants_of_any_zone_are_told_in_utc() -> None:
    table = pa.table({"at": pa.array([0], pa.timestamp("us", "America/New_York"))})
    assert canonical(table).schema.field("at").type == pa.timestamp("us", "UTC")
    assert canonical(table).column("at").to_pylist() == [dt.datetime(1970, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize("values", [[2**70, 1], [-(2**63) - 1, None], [[2**70], [1]], ["\ud800"], [1, "a"], [1j, 2]])
def test_values_that_no_column_holds_are_a_sentence(values: list[Any]) -> None:
    with pytest.raises(InvalidInput, match="df, column x: its values are not of one type that a column holds"):
        to_arrow(pd.DataFrame({"x": values}), "df")


@pytest.mark.parametrize("values", [[0, 1, 0], [0.0, 1.5, None], [False, True, False], ["a", "b", "a"]])
def test_sparse_columns_are_read_as_others(values: list[Any]) -> None:
    sparse = pd.DataFrame({"x": pd.arrays.SparseArray(values)})
    assert to_arrow(sparse, "df") == to_arrow(pd.DataFrame({"x": values}), "df")
