"""Whether two contenders gave the same answer, row by row."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

_NEAR = 1e-9


def difference(one: Path, two: Path) -> str | None:
    """Return where two answers differ, or None: same rows as a multiset, floats to 1e-9 relative."""
    left, right = _rows(one), _rows(two)
    if sorted(left.columns) != sorted(right.columns):
        return f"columns {left.columns} and {right.columns}"
    if left.height != right.height:
        return f"{left.height:,} and {right.height:,} rows"
    order = [name for name in ("id", "key", "ts") if name in left.columns]
    left, right = left.sort(order), right.sort(order).select(left.columns)
    for name in left.columns:
        a, b = left[name], right[name]
        if a.dtype.is_float() or b.dtype.is_float():
            a, b = a.cast(pl.Float64), b.cast(pl.Float64)
            far = (a - b).abs() > _NEAR * pl.select(pl.max_horizontal(a.abs(), b.abs())).to_series()
        else:
            far = a != b.cast(a.dtype)
        wrong = (a.is_null() != b.is_null()) | far.fill_null(False)
        if wrong.any():
            first, second = a.filter(wrong), b.filter(wrong)
            return f"{len(first):,} of {left.height:,} values of {name}, such as {first[0]} and {second[0]}"
    return None


def _rows(path: Path) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(pq.read_table(path)))
    # An instant is the same in a TIMESTAMP of UTC and in a TIMESTAMP WITH TIME ZONE.
    return frame.with_columns(pl.col("ts").dt.replace_time_zone(None).cast(pl.Datetime("us")))
